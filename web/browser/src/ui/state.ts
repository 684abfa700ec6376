/** What the pages share: the engine, the classes with their colors, what was taught, and the live session. */

import type { BundleInfo, ClassInfo, Engine, Taught } from "../protocol.ts";
import { UNSURE } from "./format.ts";
import type { Live } from "./live/session.ts";

export class State {
  info!: BundleInfo;
  view = "";
  taught: Taught = { faces: [], classes: [], canUndo: false };
  live!: Live;
  readonly #taughtListeners = new Set<() => void>();

  constructor(readonly engine: Engine) {}

  /** The classes of the present view, then the visitor's own. */
  get classes(): ClassInfo[] {
    const known = this.info.views.find((one) => one.name === this.view)?.classes ?? [];
    const own = this.taught.classes.filter((one) => !known.includes(one.name));
    return [...known.map((name) => ({ name, color: this.shade(name), taught: false })), ...own];
  }

  shade = (name: string | null): string => {
    if (name === null) return UNSURE;
    return this.info.colors[name] ?? this.taught.classes.find((one) => one.name === name)?.color ?? UNSURE;
  };

  /** Take over the engine's answer to teaching, undoing or forgetting. */
  setTaught(taught: Taught): void {
    this.taught = taught;
    for (const listener of this.#taughtListeners) listener();
  }

  /** Call `listener` now and after each change of what was taught. */
  whenTaught(listener: () => void): void {
    this.#taughtListeners.add(listener);
    listener();
  }

  async setView(view: string): Promise<void> {
    await this.engine.setView(view);
    this.view = view;
    this.setTaught(await this.engine.taught());
  }
}

/** A page of the app. */
export interface Page {
  /** Called when the page is shown, and when it is left. */
  enter?(): void;
  leave?(): void;
}
