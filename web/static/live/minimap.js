// The map of the known faces, small, and where the faces in the picture stand on it.

const MARGIN = 0.05; // of the side, so that a face at the rim is seen whole

class MiniMap {
  // points: {x, y, group: base64 bytes, classes: names}; places are in 0 to 1, y upwards.
  constructor(canvas, points) {
    this.canvas = canvas;
    const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    this.points = points && { x: bytes(points.x), y: bytes(points.y), group: bytes(points.group), names: points.classes };
    this.ground = document.createElement("canvas");
  }

  spot(x, y, side) { // 0 to 1, y upwards, to pixels
    const inner = side * (1 - 2 * MARGIN);
    return [side * MARGIN + x * inner, side * MARGIN + (1 - y) * inner];
  }

  drawGround(side, shade) {
    [this.ground.width, this.ground.height] = [side, side];
    const pen = this.ground.getContext("2d"), { x, y, group, names } = this.points;
    const shades = names.map(shade), size = Math.max(1, side / 170);
    pen.globalAlpha = 0.5;
    for (let i = 0; i < x.length; i++) {
      pen.fillStyle = shades[group[i]] ?? UNSURE;
      pen.fillRect(...this.spot(x[i] / 255, y[i] / 255, side), size, size);
    }
  }

  draw(faces, { selected, shade, ink, paper }) {
    if (!this.points) return;
    const side = Math.round(this.canvas.clientWidth * (devicePixelRatio || 1));
    if (side < 10) return;
    if (this.canvas.width !== side) {
      [this.canvas.width, this.canvas.height] = [side, side];
      this.drawGround(side, shade);
    }
    const pen = this.canvas.getContext("2d"), unit = side / 180;
    pen.clearRect(0, 0, side, side);
    pen.drawImage(this.ground, 0, 0);
    for (const face of faces) {
      if (!face.place) continue;
      pen.beginPath();
      pen.arc(...this.spot(...face.place, side), (face.id === selected ? 5.5 : 4) * unit, 0, 7);
      pen.fillStyle = face.expression === null ? UNSURE : shade(face.expression);
      pen.fill();
      pen.lineWidth = 2 * unit;
      pen.strokeStyle = face.id === selected ? ink : paper;
      pen.stroke();
    }
  }
}
