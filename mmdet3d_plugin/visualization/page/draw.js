'use strict';

const DARK = matchMedia('(prefers-color-scheme: dark)');
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// class colours are made for a light ground; on a dark one they move towards white
function lighter(hex) {
  const parts = [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
  return `rgb(${parts.map((part) => Math.round(part + (255 - part) * 0.4)).join(' ')})`;
}

function colourOf(layer, box, state) {
  if (state.colour === 'layer') return layer.colour[DARK.matches ? 1 : 0];
  const colour = CONTENT.classes[box.class].colour;
  return DARK.matches ? lighter(colour) : colour;
}

// pixels of the screen for the size that the page gives a canvas; one unit is a CSS pixel
function prepare(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

function drawRings(context, view, panel) {
  const [x, y] = view.toPixels(panel, 0, 0);
  const scale = view.scale(panel);
  const step = [1, 2, 5, 10, 20, 50].find((metres) => metres * scale > 55) || 100;
  const farthest = Math.hypot(...[0, 1].map((axis) => Math.max(Math.abs(view.range[axis]), view.range[axis + 2]))) * 1.5;
  context.strokeStyle = css('--grid');
  context.fillStyle = css('--soft');
  context.lineWidth = 1;
  context.font = '11px system-ui, sans-serif';
  for (let radius = step; radius <= farthest; radius += step) {
    context.beginPath();
    context.arc(x, y, radius * scale, 0, 2 * Math.PI);
    context.stroke();
    context.fillText(`${radius} m`, x + 4, y - radius * scale - 3);
  }
}

// what lies on the ground is fainter than what stands on it
function drawPoints(context, view, panel, points) {
  const size = Math.min(3, Math.max(1.1, view.scale(panel) / 14));
  context.fillStyle = css('--point');
  for (const [alpha, wanted] of [[0.35, (z) => z < -1.4], [0.85, (z) => z >= -1.4]]) {
    context.globalAlpha = alpha;
    for (let index = 0; index < points.length; index += 3) {
      if (!wanted(points[index + 2])) continue;
      const [column, row] = view.toPixels(panel, points[index], points[index + 1]);
      context.fillRect(column - size / 2, row - size / 2, size, size);
    }
  }
  context.globalAlpha = 1;
}

// the way of the car, and the car itself, with the LiDAR in the middle and the bonnet up
function drawCar(context, view, panel, path) {
  const scale = view.scale(panel);
  context.strokeStyle = context.fillStyle = css('--car');
  context.globalAlpha = 0.4;
  context.lineWidth = 1.5;
  context.setLineDash([2, 4]);
  context.beginPath();
  for (let index = 0; index < path.length; index += 2) {
    context.lineTo(...view.toPixels(panel, path[index], path[index + 1]));
  }
  context.stroke();
  context.setLineDash([]);
  context.globalAlpha = 1;
  const [x, y] = view.toPixels(panel, 0, 0);
  const unit = Math.max(5, scale * 0.9);
  context.beginPath();
  context.moveTo(x, y - 1.5 * unit);
  context.lineTo(x + 0.9 * unit, y + 1.2 * unit);
  context.lineTo(x, y + 0.6 * unit);
  context.lineTo(x - 0.9 * unit, y + 1.2 * unit);
  context.fill();
}

function tracePath(context, points) {
  context.beginPath();
  points.forEach((point) => context.lineTo(...point));
  context.closePath();
}

// Ground rectangle and heading of a box. style: {colour, dash, fill, line, width}
function drawBox(context, view, panel, box, style) {
  const corners = outline(box);
  tracePath(context, corners.map(([x, y]) => view.toPixels(panel, x, y)));
  context.strokeStyle = context.fillStyle = style.colour;
  if (style.fill) {
    context.globalAlpha = style.fill;
    context.fill();
    context.globalAlpha = 1;
  }
  if (!style.line) return;
  context.lineWidth = style.width;
  context.setLineDash(style.dash);
  context.stroke();
  context.setLineDash([]);
  context.beginPath();
  context.moveTo(...view.toPixels(panel, ...middle(corners)));
  context.lineTo(...view.toPixels(panel, ...middle(corners.slice(1, 3))));
  context.stroke();
}

// Edges of a box in a camera image of `scale` screen pixels a pixel.
function drawBoxInCamera(context, camera, scale, box, style) {
  context.strokeStyle = style.colour;
  context.lineWidth = style.width;
  context.setLineDash(style.dash);
  context.beginPath();
  for (const [from, to] of CONTENT.edges) {
    const line = project(camera.matrix, corner(box, from), corner(box, to));
    if (!line) continue;
    context.moveTo(line[0][0] * scale, line[0][1] * scale);
    context.lineTo(line[1][0] * scale, line[1][1] * scale);
  }
  context.stroke();
  context.setLineDash([]);
}

function drawTitle(context, panel, text, colour) {
  context.font = '600 13px system-ui, sans-serif';
  context.fillStyle = css('--card');
  context.globalAlpha = 0.85;
  context.fillRect(panel.left + 8, panel.top + 8, context.measureText(text).width + 16, 24);
  context.globalAlpha = 1;
  context.fillStyle = colour;
  context.fillText(text, panel.left + 16, panel.top + 25);
}
