/** Run networks with LiteRT. */

import { type CompiledModel, loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";
import { EngineError } from "../protocol.ts";
import type { FileEntry, Place, Site } from "./site.ts";

/** Of several sizes of a network, the last ones stay ready. */
const KEPT = 3;

export type RuntimeKind = "plain" | "compat" | "threaded";

/** A module with one instruction of WebAssembly: a 128-bit constant, or a relaxed 128-bit operation. */
const SIMD = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
];
const RELAXED = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15,
  253, 128, 2, 11,
];

/** Choose the build of the runtime for this browser, and the number of threads. */
export function chooseRuntime(threads?: number): { kind: RuntimeKind; threads: number } {
  if (typeof WebAssembly !== "object" || !WebAssembly.validate(new Uint8Array(SIMD))) {
    throw new EngineError(
      "no-simd",
      "This browser lacks WebAssembly SIMD; use a current Chrome, Edge, Firefox or Safari.",
    );
  }
  if (!WebAssembly.validate(new Uint8Array(RELAXED))) return { kind: "compat", threads: 1 };
  const most = globalThis.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, 4) : 1;
  const used = Math.max(1, Math.min(threads ?? most, most));
  return used > 1 ? { kind: "threaded", threads: used } : { kind: "plain", threads: 1 };
}

/** What Emscripten's script reads from the worker's global scope before it starts. */
interface ModuleOptions {
  locateFile: (name: string) => string;
  mainScriptUrlOrBlob: string;
  print: (text: string) => void;
  printErr: (text: string) => void;
  instantiateWasm: (
    imports: WebAssembly.Imports,
    done: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
  ) => object;
}

/** Start the runtime. */
export async function startRuntime(
  site: Site,
  kind: RuntimeKind,
  base: string,
  wasm: Promise<Uint8Array<ArrayBuffer>>,
): Promise<void> {
  const address = (file: FileEntry) => new URL(file.url, base).href;
  const { script, wasm: binary } = site.runtime[kind];
  const compiled = wasm.then((content) => WebAssembly.compile(content));
  const failed = compiled.then(
    () => new Promise<never>(() => {}),
    (error) => Promise.reject(error),
  );
  const options: ModuleOptions = {
    locateFile: (name) => (name.endsWith(".wasm") ? address(binary) : name),
    mainScriptUrlOrBlob: address(script),
    print: () => {},
    printErr: () => {},
    instantiateWasm: (imports, done) => {
      compiled
        .then(async (module) => done(await WebAssembly.instantiate(module, imports), module))
        // `failed` reports it.
        .catch(() => {});
      return {};
    },
  };
  Object.assign(globalThis, { Module: options });
  // LiteRT opens the graphics card by itself, which takes time and is not used here, and warns where it cannot.
  Object.defineProperty(navigator, "gpu", { value: undefined, configurable: true });
  const warn = console.warn;
  console.warn = () => {};
  try {
    await Promise.race([loadLiteRt(address(script), { threads: kind === "threaded" }), failed]);
  } finally {
    console.warn = warn;
  }
}

/** A network whose input size can be changed. */
export class Network {
  #compiled = new Map<string, Promise<CompiledModel>>();

  constructor(
    readonly content: Uint8Array<ArrayBuffer>,
    readonly places: Readonly<Record<string, readonly Place[]>>,
    readonly threads: number,
  ) {}

  /** Run it; return its outputs by name. */
  async run(
    sizes: Readonly<Record<string, number>>,
    input: Float32Array<ArrayBuffer>,
    shape: number[],
  ): Promise<Record<string, Float32Array>> {
    const model = await this.prepare(sizes);
    const tensor = new Tensor(input, shape);
    try {
      const results = await model.run({ [model.getInputDetails()[0].name]: tensor });
      return Object.fromEntries(
        Object.entries(results).map(([name, result]) => {
          const values = result.toTypedArray() as Float32Array;
          result.delete();
          return [name, values];
        }),
      );
    } finally {
      tensor.delete();
    }
  }

  /** Compile it for these sizes, unless it is. */
  async prepare(sizes: Readonly<Record<string, number>>): Promise<CompiledModel> {
    const key = JSON.stringify(sizes);
    const known = this.#compiled.get(key);
    // Inserted again, so that the first is the one that was not used for longest.
    this.#compiled.delete(key);
    const model = known ?? this.#compile(sizes);
    this.#compiled.set(key, model);
    if (this.#compiled.size > KEPT) {
      const [oldest, unused] = this.#compiled.entries().next().value!;
      this.#compiled.delete(oldest);
      (await unused).delete();
    }
    return model;
  }

  async #compile(sizes: Readonly<Record<string, number>>): Promise<CompiledModel> {
    const view = new DataView(this.content.buffer);
    for (const [name, size] of Object.entries(sizes)) {
      for (const [offset, stride, more] of this.places[name]) {
        view.setInt32(offset, Math.floor(size / stride) + more, true);
      }
    }
    try {
      return await loadAndCompile(this.content, { accelerator: "wasm", cpuOptions: { numThreads: this.threads } });
    } catch (error) {
      if (error instanceof RangeError)
        throw new EngineError("memory", "The device has not enough memory; close other tabs.");
      throw new EngineError("damaged", "A network of the site cannot be started; reload, or write the site again.");
    }
  }
}
