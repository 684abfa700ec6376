/** Read picture files. */

/** Most bytes and pixels of a picture. */
const MOST_BYTES = 50 * 2 ** 20;
const MOST_PIXELS = 50e6;

/** Decode a picture file upright; throw an `Error` with a message for the visitor. */
export async function readPicture(file: Blob): Promise<ImageBitmap> {
  if (file.size > MOST_BYTES) {
    throw new Error(
      `expected at most ${MOST_BYTES / 2 ** 20} MB, got ${Math.ceil(file.size / 2 ** 20)} MB; make it smaller`,
    );
  }
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    throw new Error("expected a picture that this browser can show, got another file; save it as JPEG or PNG");
  }
  if (bitmap.width * bitmap.height > MOST_PIXELS) {
    const got = `${bitmap.width} x ${bitmap.height}`;
    bitmap.close();
    throw new Error(`expected at most ${MOST_PIXELS / 1e6} megapixels, got ${got}; make it smaller`);
  }
  return bitmap;
}
