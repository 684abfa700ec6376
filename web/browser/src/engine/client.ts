/** Open the engine: a worker, and calls to it. */

import type {
  BundleInfo,
  Engine,
  ExportedFile,
  FaceReference,
  FrameResult,
  Held,
  Imported,
  LoadOptions,
  Progress,
  Taught,
} from "../protocol.ts";
import { EngineError } from "../protocol.ts";
import type { Answer, Request } from "./rpc.ts";
import { fetchSite } from "./site.ts";

export function openEngine(): Engine {
  return new WorkerEngine();
}

interface Waiting {
  resolve: (result: never) => void;
  reject: (error: EngineError) => void;
}

class WorkerEngine implements Engine {
  #worker: Worker | null = null;
  #stopped = false;
  #next = 1;
  #waiting = new Map<number, Waiting>();
  #progress: ((progress: Progress) => void) | undefined;

  async load(options: LoadOptions = {}): Promise<BundleInfo> {
    const base = new URL(options.base ?? ".", document.baseURI).href;
    this.#progress = options.progress;
    const site = await fetchSite(base);
    if (this.#stopped) throw stopped();
    this.#worker?.terminate();
    const worker = new Worker(new URL(site.worker.url, base), { name: "moodspace" });
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<Answer>) => this.#receive(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(new EngineError("internal", "The engine stopped unexpectedly; reload the page."));
    };
    return this.#call("load", [base, options.threads]);
  }

  #receive(answer: Answer): void {
    if ("progress" in answer) {
      this.#progress?.(answer.progress);
      return;
    }
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if ("error" in answer) waiting?.reject(new EngineError(answer.error.code, answer.error.message));
    else waiting?.resolve(answer.result as never);
  }

  #fail(error: EngineError): void {
    for (const one of this.#waiting.values()) one.reject(error);
    this.#waiting.clear();
  }

  #call<Result>(method: string, values: unknown[], transfer: Transferable[] = []): Promise<Result> {
    if (this.#stopped) return Promise.reject(stopped());
    const worker = this.#worker;
    if (!worker)
      return Promise.reject(new EngineError("internal", "Expected a loaded engine, got none; load it first."));
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      worker.postMessage({ id, method, values } satisfies Request, transfer);
    });
  }

  frame(image: ImageBitmap | VideoFrame, time: number): Promise<FrameResult> {
    return this.#call("frame", [image, time], [image]);
  }

  photo(image: ImageBitmap): Promise<FrameResult> {
    return this.#call("photo", [image], [image]);
  }

  reset(): Promise<void> {
    return this.#call("reset", []);
  }

  setView(view: string): Promise<void> {
    return this.#call("setView", [view]);
  }

  setSmoothing(halfLife: number): Promise<void> {
    return this.#call("setSmoothing", [halfLife]);
  }

  teach(label: string, faces: readonly FaceReference[]): Promise<Taught> {
    return this.#call("teach", [label, faces]);
  }

  hold(face: FaceReference): Promise<Held> {
    return this.#call("hold", [face]);
  }

  release(ids?: readonly number[]): Promise<void> {
    return this.#call("release", [ids]);
  }

  undo(): Promise<Taught> {
    return this.#call("undo", []);
  }

  forget(ids: readonly number[]): Promise<Taught> {
    return this.#call("forget", [ids]);
  }

  taught(): Promise<Taught> {
    return this.#call("taught", []);
  }

  exportTaught(): Promise<ExportedFile> {
    return this.#call("exportTaught", []);
  }

  importTaught(bytes: ArrayBuffer): Promise<Imported> {
    return this.#call("importTaught", [bytes]);
  }

  restoreTaught(bytes: ArrayBuffer): Promise<Taught> {
    return this.#call("restoreTaught", [bytes]);
  }

  stop(): void {
    this.#stopped = true;
    this.#worker?.terminate();
    this.#worker = null;
    this.#fail(stopped());
  }
}

function stopped(): EngineError {
  return new EngineError("stopped", "The engine was stopped.");
}
