// Keep the app on this device, so that it works offline. `web/site.py` fills in the list of files and its hash.
//
// All files of a version are fetched before it takes over, and stay together: a page never mixes two versions. Files whose
// content is the same are taken from the version before instead of the network.

// [{ url, revision, runtime }], addresses relative to this file; a build of the runtime names the browsers it is for.
const FILES = "PRECACHE";
const PREFIX = `moodspace ${new URL(self.registration.scope).pathname} `;
const CACHE = `${PREFIX}${"VERSION"}`;
const REVISION = "x-moodspace-revision";
// A module with one relaxed SIMD instruction, as in `engine/runtime.ts`. The build with threads is not kept.
const RELAXED = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15,
  253, 128, 2, 11,
];
const RUNTIME = WebAssembly.validate(new Uint8Array(RELAXED)) ? "plain" : "compat";

self.addEventListener("install", (event) => event.waitUntil(install()));

self.addEventListener("activate", (event) => event.waitUntil(activate()));

// The page asks for this when the visitor agrees to the new version.
self.addEventListener("message", (event) => {
  if (event.data === "take over") self.skipWaiting();
});

self.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method !== "GET" || !url.startsWith(self.registration.scope)) return;
  event.respondWith(answer(event.request));
});

async function install() {
  const cache = await caches.open(CACHE);
  for (const { url, revision, runtime } of FILES) {
    if (runtime && runtime !== RUNTIME) continue;
    const address = new URL(url, self.registration.scope).href;
    if ((await cache.match(address))?.headers.get(REVISION) === revision) continue;
    await cache.put(address, await stored(address, revision));
  }
}

// The file of an earlier version if it is the same, or else of the network.
async function stored(address, revision) {
  const earlier = await caches.match(address);
  if (earlier?.headers.get(REVISION) === revision) return earlier;
  // A name with a hash of the content never changes; on the first visit the page has just loaded these files.
  const hashed = new URL(address).pathname.includes("/assets/");
  const response = await fetch(address, { cache: hashed ? "force-cache" : "no-cache" });
  if (!response.ok) throw new Error(`expected ${address}, got status ${response.status}`);
  const headers = new Headers(response.headers);
  headers.set(REVISION, revision);
  // The body is no longer compressed here.
  headers.delete("content-encoding");
  headers.delete("content-length");
  return new Response(response.body, { status: 200, headers });
}

async function activate() {
  const old = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await self.clients.claim();
}

async function answer(request) {
  const cache = await caches.open(CACHE);
  const { scope } = self.registration;
  const page = new URL("index.html", scope).href;
  // Only this page: another site may lie in a folder below.
  const asked = request.url.replace(/[?#].*$/, "");
  return (await cache.match(asked === scope ? page : asked)) ?? fetch(request);
}
