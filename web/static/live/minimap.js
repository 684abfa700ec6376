// A small map of the known faces, with the positions of the faces in view.

const MARGIN = 0.05; // share of the side, so that dots at the edge are not cut off

class MiniMap {
  // points: {x, y, group: bytes in base64, classes: names}; positions are in [0, 1], y upwards.
  constructor(canvas, points) {
    this.canvas = canvas;
    const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    this.points = points && { x: bytes(points.x), y: bytes(points.y), group: bytes(points.group), names: points.classes };
    this.background = document.createElement("canvas");
  }

  toPixels(x, y, side) { // from [0, 1], y upwards
    const inner = side * (1 - 2 * MARGIN);
    return [side * MARGIN + x * inner, side * MARGIN + (1 - y) * inner];
  }

  drawBackground(side, shade) {
    [this.background.width, this.background.height] = [side, side];
    const pen = this.background.getContext("2d"), { x, y, group, names } = this.points;
    const shades = names.map(shade), size = Math.max(1, side / 170);
    pen.globalAlpha = 0.5;
    for (let i = 0; i < x.length; i++) {
      pen.fillStyle = shades[group[i]] ?? UNSURE;
      pen.fillRect(...this.toPixels(x[i] / 255, y[i] / 255, side), size, size);
    }
  }

  draw(faces, { selected, shade, ink, paper }) {
    if (!this.points) return;
    const side = Math.round(this.canvas.clientWidth * (devicePixelRatio || 1));
    if (side < 10) return;
    if (this.canvas.width !== side) {
      [this.canvas.width, this.canvas.height] = [side, side];
      this.drawBackground(side, shade);
    }
    const pen = this.canvas.getContext("2d"), unit = side / 180;
    pen.clearRect(0, 0, side, side);
    pen.drawImage(this.background, 0, 0);
    for (const face of faces) {
      if (!face.place) continue;
      pen.beginPath();
      pen.arc(...this.toPixels(...face.place, side), (face.id === selected ? 5.5 : 4) * unit, 0, 7);
      pen.fillStyle = face.expression === null ? UNSURE : shade(face.expression);
      pen.fill();
      pen.lineWidth = 2 * unit;
      pen.strokeStyle = face.id === selected ? ink : paper;
      pen.stroke();
    }
  }
}
