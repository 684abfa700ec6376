// The faces' images, on sheets that are decoded on demand.
const sheets = new Map(); // number -> promise of a decoded image

function sheet(number) {
  if (!sheets.has(number)) {
    const picture = new Image();
    picture.src = document.querySelectorAll(".sheet")[number].textContent;
    sheets.set(number, picture.decode().then(() => picture));
  }
  return sheets.get(number);
}

function fetched(i) { // an image that only the server has
  const picture = element("img", "thumb");
  [picture.src, picture.alt] = [`${faces.at}/${faces.id[i]}`, faces.source[i]];
  return picture;
}

function thumbnail(i) { // null without an image
  const place = faces.picture[i], { side, size } = faces.atlas;
  if (place < 0) return faces.served?.[i] ? fetched(i) : null;
  const canvas = element("canvas", "thumb");
  canvas.width = canvas.height = size;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", faces.source[i]);
  sheet(Math.floor(place / (side * side))).then((picture) => {
    const row = Math.floor((place % (side * side)) / side), column = place % side;
    canvas.getContext("2d").drawImage(picture, column * size, row * size, size, size, 0, 0, size, size);
  });
  return canvas;
}
