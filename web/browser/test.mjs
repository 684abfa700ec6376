// Bundle the unit tests and run them with Node's own runner.
import { spawnSync } from "node:child_process";
import { readdir, rm } from "node:fs/promises";
import * as esbuild from "esbuild";

const files = (await readdir("tests", { recursive: true })).filter((name) => name.endsWith(".test.ts"));
await rm("build", { recursive: true, force: true });
await esbuild.build({
  entryPoints: files.map((name) => `tests/${name}`),
  outdir: "build/tests",
  outbase: "tests",
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  outExtension: { ".js": ".mjs" },
  logLevel: "warning",
});
const built = files.map((name) => `build/tests/${name.replace(/\.ts$/, ".mjs")}`);
process.exit(spawnSync(process.execPath, ["--test", ...built], { stdio: "inherit" }).status ?? 1);
