// Bundle the pages and the worker into dist/, which `moodspace web --static` copies. Names get their hashes there.
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import * as esbuild from "esbuild";

const watch = process.argv.includes("--watch");
const options = {
  outdir: "dist",
  bundle: true,
  target: "es2022",
  minify: !watch,
  sourcemap: watch ? "inline" : false,
  legalComments: "none",
  logLevel: "info",
};

await rm("dist", { recursive: true, force: true });
await mkdir("dist/wasm", { recursive: true });
for (const kind of ["", "_compat", "_threaded"]) {
  for (const ending of ["js", "wasm"]) {
    await cp(
      `node_modules/@litertjs/core/wasm/litert_wasm${kind}_internal.${ending}`,
      `dist/wasm/litert${kind}.${ending}`,
    );
  }
}
// The pages' own files: HTML, styles, icons, the manifest and the service worker, which the writer completes.
await cp("static", "dist", { recursive: true });
await cp("../static/icon.svg", "dist/icon.svg");
await cp("../../realtime/astronaut.webp", "dist/astronaut.webp");
await writeFile("dist/sw.js", await readFile("src/sw.js", "utf8"));
// The runtime's script needs `importScripts`, which module workers lack.
const builds = [
  { ...options, entryPoints: { app: "src/ui/app.ts" }, format: "esm" },
  { ...options, entryPoints: { worker: "src/engine/worker.ts" }, format: "iife" },
];
for (const build of builds) {
  if (watch) await (await esbuild.context(build)).watch();
  else await esbuild.build(build);
}
