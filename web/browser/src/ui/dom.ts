/** Small helpers for the page: make, find and show elements, and save files. */

type Value = string | number | boolean | null | undefined | ((event: never) => void);
type Child = Node | string | false | null | undefined;

/**
 * Make an element.
 *
 * Properties: `class`, `text`, `onEVENT` for a listener, `--NAME` for a CSS variable; everything else is an attribute,
 * where true means an empty one and false, null and undefined mean none.
 */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Record<string, Value> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") made.addEventListener(name.slice(2).toLowerCase(), value as EventListener);
    else if (name === "text") made.textContent = String(value ?? "");
    else if (name.startsWith("--")) made.style.setProperty(name, String(value));
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, String(value));
  }
  made.append(...children.filter((child): child is Node | string => Boolean(child)));
  return made;
}

/** Return the element that a selector names; it is part of `index.html`. */
export function find<T extends HTMLElement = HTMLElement>(selector: string, root: ParentNode = document): T {
  const found = root.querySelector<T>(selector);
  if (!found) throw new Error(`expected ${selector} in the page, got none`);
  return found;
}

/** The name of a class after a dot of its color. */
export function mark(name: string, color: string): HTMLSpanElement {
  return h("span", { class: "mark", "--shade": color, text: name });
}

/** A message in place of a result. */
export function notice(message: string, lead = "", wrong = true): HTMLParagraphElement {
  return h(
    "p",
    { class: `notice${wrong ? " wrong" : ""}`, role: "status" },
    lead && h("b", { text: lead }),
    lead && " ",
    message,
  );
}

/** Set an element's text; leave it alone if it says so already, because a live region would be read again. */
export function say(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Show an element, or hide it. */
export function show(element: HTMLElement, shown: boolean): void {
  element.hidden = !shown;
}

/** Keep exactly `count` children, made by `make`, so that those that stay keep the focus. */
export function keepChildren(list: HTMLElement, count: number, make: (at: number) => HTMLElement): HTMLElement[] {
  while (list.children.length > count) list.lastElementChild?.remove();
  while (list.children.length < count) list.append(make(list.children.length));
  return [...list.children] as HTMLElement[];
}

/** Hand a file to the visitor. */
export function save(name: string, type: string, content: BlobPart): void {
  const address = URL.createObjectURL(new Blob([content], { type }));
  const link = h("a", { href: address, download: name });
  link.click();
  // The browser reads the file after the click.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** Let a drop zone and its chooser give files to `take`. */
export function takeFiles(zone: HTMLElement, take: (files: File[]) => void): void {
  const chooser = find<HTMLInputElement>("input[type=file]", zone);
  chooser.addEventListener("change", () => {
    const files = [...(chooser.files ?? [])];
    chooser.value = "";
    if (files.length) take(files);
  });
  for (const kind of ["dragenter", "dragover"]) {
    zone.addEventListener(kind, (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
  }
  for (const kind of ["dragleave", "drop"]) zone.addEventListener(kind, () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length) take(files);
  });
}

/** A color of the page, such as "--ink", as it is in the present scheme. */
export function tone(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Fit a canvas to its size on the page; return its pen with the scale set to CSS pixels, and that size. */
export function fitted(canvas: HTMLCanvasElement): { pen: CanvasRenderingContext2D; width: number; height: number } {
  const ratio = devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  const [w, hh] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== hh) [canvas.width, canvas.height] = [w, hh];
  const pen = canvas.getContext("2d");
  if (!pen) throw new Error("expected a canvas that can be drawn on, got none");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { pen, width, height };
}
