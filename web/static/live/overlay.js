// Draw a box and a label over the picture for each face.

const UNSURE = "#8a8f98";

class Overlay {
  constructor(canvas, video) {
    [this.canvas, this.video] = [canvas, video];
    this.pen = canvas.getContext("2d");
    this.boxes = []; // [id, left, top, width, height] in CSS pixels, as drawn
  }

  clear() {
    this.boxes = [];
    this.pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  draw(result, { selected, mirrored, shade }) {
    const { canvas, pen } = this, ratio = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = canvas;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const scale = Math.min(width / result.size[0], height / result.size[1]); // as object-fit: contain does
    const [left, top] = [(width - result.size[0] * scale) / 2, (height - result.size[1] * scale) / 2];
    this.boxes = result.faces.map((face) => {
      const [x, y, wide, high] = face.xywh.map((value) => value * scale);
      return [face.id, mirrored ? width - left - x - wide : left + x, top + y, wide, high];
    });
    result.faces.forEach((face, row) => this.drawFace(face, this.boxes[row], face.id === selected, shade, result.faces.length > 1));
  }

  drawFace(face, [, x, y, wide, high], isSelected, shade, numbered) { // with its number, as beside the picture
    const { pen } = this, color = face.expression === null ? UNSURE : shade(face.expression);
    pen.lineJoin = "round";
    for (const [line, style] of [[isSelected ? 7 : 5, "#0009"], [isSelected ? 4 : 2.5, color]]) {
      pen.lineWidth = line;
      pen.strokeStyle = style;
      pen.beginPath();
      pen.roundRect(x, y, wide, high, 10);
      pen.stroke();
    }
    const shown = (face.expression === null ? unsure(face) : `${face.expression} ${Math.round(100 * face.confidence)} %`) + zeroOf(face);
    const label = numbered ? `${face.id} · ${shown}` : shown;
    pen.font = "600 15px system-ui, sans-serif";
    const labelWidth = pen.measureText(label).width + 18;
    const [at, above] = [Math.max(2, Math.min(x, this.canvas.clientWidth - labelWidth - 2)), y > 32 ? y - 30 : y + 6];
    pen.fillStyle = color;
    pen.beginPath();
    pen.roundRect(at, above, labelWidth, 25, 8);
    pen.fill();
    pen.fillStyle = readableOn(color);
    pen.textBaseline = "middle";
    pen.fillText(label, at + 9, above + 13);
  }

  at(x, y) { // returns the id of the face at a point in CSS pixels
    return this.boxes.find(([, left, top, w, h]) => x >= left && y >= top && x <= left + w && y <= top + h)?.[0];
  }
}

function zeroOf({ baseline, measuring }) { // what a label says of the resting face
  if (measuring !== null) return ` · look relaxed ${Math.ceil(measuring)} s`;
  return baseline ? " · baseline" : "";
}

function unsure({ quality }) {
  return quality?.reason ? `unsure · ${quality.reason}` : "unsure";
}

function readableOn(hex) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
}
