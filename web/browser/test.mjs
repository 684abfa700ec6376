// Bundle the unit tests and run them with Node's own runner: node test.mjs [FOLDER]
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import * as esbuild from "esbuild";

const files = (await readdir("tests", { recursive: true })).filter(
  (name) => name.endsWith(".test.ts") && name.startsWith(process.argv[2] ?? ""),
);
await mkdir("build", { recursive: true });
const folder = await mkdtemp("build/tests-");
await esbuild.build({
  entryPoints: files.map((name) => `tests/${name}`),
  outdir: folder,
  outbase: "tests",
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  outExtension: { ".js": ".mjs" },
  logLevel: "warning",
});
const built = files.map((name) => `${folder}/${name.replace(/\.ts$/, ".mjs")}`);
const { status } = spawnSync(process.execPath, ["--test", "--test-reporter=tap", ...built], { stdio: "inherit" });
await rm(folder, { recursive: true });
process.exit(status ?? 1);
