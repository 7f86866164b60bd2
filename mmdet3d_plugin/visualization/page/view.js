'use strict';

// Which part of the plane a panel of the canvas shows, and at which scale. Metres have y up, pixels have y down.
class View {
  constructor(range) {
    this.range = range; // x_min, y_min, x_max, y_max of the whole view, metres
    this.reset();
  }

  reset() {
    const [left, low, right, high] = this.range;
    this.x = (left + right) / 2;
    this.y = (low + high) / 2;
    this.zoom = 1;
  }

  // pixels a metre: at zoom 1 the whole range fits into the panel
  scale(panel) {
    const [left, low, right, high] = this.range;
    return this.zoom * Math.min(panel.width / (right - left), panel.height / (high - low));
  }

  toPixels(panel, x, y) {
    const scale = this.scale(panel);
    return [panel.left + panel.width / 2 + (x - this.x) * scale, panel.top + panel.height / 2 - (y - this.y) * scale];
  }

  toMetres(panel, column, row) {
    const scale = this.scale(panel);
    return [this.x + (column - panel.left - panel.width / 2) / scale,
            this.y - (row - panel.top - panel.height / 2) / scale];
  }

  move(panel, columns, rows) {
    const scale = this.scale(panel);
    this.x -= columns / scale;
    this.y += rows / scale;
  }

  // zoom so that what lies under a pixel stays there
  zoomAt(panel, column, row, factor) {
    const [x, y] = this.toMetres(panel, column, row);
    const before = this.zoom;
    this.zoom = Math.min(40, Math.max(0.4, this.zoom * factor));
    this.x = x + (this.x - x) * before / this.zoom;
    this.y = y + (this.y - y) * before / this.zoom;
  }
}

// Corners 0, 4, 6, 2 of a box are its bottom: rear right, front right, front left, rear left.
const BOTTOM = [0, 4, 6, 2];

const corner = (box, index) => box.corners.slice(3 * index, 3 * index + 3);
const outline = (box) => BOTTOM.map((index) => corner(box, index));

function middle(points) {
  return [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
}

// whether a point lies in a convex outline
function holds(points, x, y) {
  const sides = points.map((from, index) => {
    const to = points[(index + 1) % points.length];
    return (to[0] - from[0]) * (y - from[1]) - (to[1] - from[1]) * (x - from[0]);
  });
  return sides.every((side) => side >= 0) || sides.every((side) => side <= 0);
}

// int16 centimetres in base64 -> [x, y, z, x, y, z, ...] in metres
function unpackPoints(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 2 }, (_, index) => view.getInt16(2 * index, true) / 100);
}

// The part of a line in front of a camera, in its pixels; null where all of it lies behind.
function project(matrix, from, to, near = 0.1) {
  const ends = [from, to].map(([x, y, z]) => [0, 4, 8].map(
    (row) => matrix[row] * x + matrix[row + 1] * y + matrix[row + 2] * z + matrix[row + 3]));
  if (ends[0][2] < near && ends[1][2] < near) return null;
  return ends.map((end, index) => {
    const other = ends[1 - index];
    const share = end[2] < near ? (near - end[2]) / (other[2] - end[2]) : 0;
    const [u, v, depth] = end.map((value, axis) => value + share * (other[axis] - value));
    return [u / depth, v / depth];
  });
}
