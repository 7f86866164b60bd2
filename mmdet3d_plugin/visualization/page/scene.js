'use strict';

// The state of the page, and what is drawn for it.

const CONTENT = JSON.parse(document.getElementById('content').textContent);
const element = (id) => document.getElementById(id);
const canvas = element('bev');
const view = new View(CONTENT.range);
const state = {
  frame: 0, score: CONTENT.threshold, colour: 'layer', split: false, points: true, hover: null, timer: null,
  layers: CONTENT.layers.map(() => true),
};
const cameras = []; // {figure, canvas}
const unpacked = new Map();

function pointsOf(index) {
  if (!unpacked.has(index)) unpacked.set(index, unpackPoints(CONTENT.frames[index].points));
  return unpacked.get(index);
}

const isShown = (box) => box.score === null || box.score >= state.score;
const boxesOf = (layer) => CONTENT.frames[state.frame].boxes[layer].filter(isShown);
const shownLayers = () => CONTENT.layers.map((_, index) => index).filter((index) => state.layers[index]);

// Panels of the canvas and the layers that each draws: ground truth first, the last model on top.
function panels() {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const order = shownLayers().sort((one, other) => (CONTENT.layers[one].kind === 'truth' ? -1 : one) -
                                                   (CONTENT.layers[other].kind === 'truth' ? -1 : other));
  if (!state.split || order.length < 2) return [{ left: 0, top: 0, width, height, layers: order }];
  const truth = order.filter((index) => CONTENT.layers[index].kind === 'truth');
  const each = width / order.length;
  return shownLayers().map((index, number) => ({
    left: number * each, top: 0, width: each, height, title: CONTENT.layers[index],
    layers: truth.includes(index) ? [index] : [...truth, index], below: truth.includes(index) ? [] : truth,
  }));
}

function styleOf(layerIndex, box, panel) {
  const layer = CONTENT.layers[layerIndex];
  const below = panel && panel.below && panel.below.includes(layerIndex);
  const hovered = state.hover !== null && state.hover.box === box;
  const fill = layer.kind === 'truth' ? Number(css('--fill')) : 0;
  return {
    colour: colourOf(layer, box, state), dash: hovered ? [] : layer.dash, line: !below,
    fill: hovered ? 0.4 : fill, width: hovered ? 3 : layer.kind === 'truth' ? 1.2 : 1.8,
  };
}

// where colours tell classes, they do not tell models
function titleColour(layer) {
  return state.colour === 'layer' ? layer.colour[DARK.matches ? 1 : 0] : css('--ink');
}

function drawPanel(context, panel) {
  const frame = CONTENT.frames[state.frame];
  context.save();
  context.beginPath();
  context.rect(panel.left, panel.top, panel.width, panel.height);
  context.clip();
  drawRings(context, view, panel);
  if (state.points) drawPoints(context, view, panel, pointsOf(state.frame));
  drawCar(context, view, panel, frame.path);
  for (const layer of panel.layers) {
    for (const box of boxesOf(layer).reverse()) drawBox(context, view, panel, box, styleOf(layer, box, panel));
  }
  if (panel.title) drawTitle(context, panel, panel.title.name, titleColour(panel.title));
  context.restore();
}

function drawBev() {
  const context = prepare(canvas, canvas.clientWidth, canvas.clientHeight);
  context.fillStyle = css('--ground');
  context.fillRect(0, 0, canvas.clientWidth, canvas.clientHeight);
  for (const panel of panels()) {
    drawPanel(context, panel);
    if (panel.left) {
      context.fillStyle = css('--line');
      context.fillRect(panel.left - 1, 0, 2, panel.height);
    }
  }
}

function drawCamera(index) {
  const camera = CONTENT.frames[state.frame].cameras[index];
  const width = cameras[index].canvas.clientWidth;
  const scale = width / camera.width;
  const context = prepare(cameras[index].canvas, width, camera.height * scale);
  if (camera.picture.complete) context.drawImage(camera.picture, 0, 0, width, camera.height * scale);
  for (const layer of panels().flatMap((panel) => panel.layers).filter((one, at, all) => all.indexOf(one) === at)) {
    for (const box of boxesOf(layer)) drawBoxInCamera(context, camera, scale, box, styleOf(layer, box));
  }
}

function describe() {
  const frame = CONTENT.frames[state.frame];
  element('where').textContent = `${frame.scene}, ${frame.seconds.toFixed(1)} s`;
  element('number').textContent = `${state.frame + 1} / ${CONTENT.frames.length}`;
  element('frame').value = state.frame;
  element('score-shown').textContent = state.score.toFixed(2);
  element('score').value = state.score;
  element('play').textContent = state.timer === null ? 'Play' : 'Pause';
  element('classes').hidden = state.colour !== 'class';
  element('main').classList.toggle('split', state.split);
  CONTENT.layers.forEach((_, index) => {
    element(`layer-${index}`).checked = state.layers[index];
    element(`count-${index}`).textContent = boxesOf(index).length;
  });
  element('points').checked = state.points;
  element('split').checked = state.split;
}

function draw() {
  describe();
  drawBev();
  cameras.forEach((_, index) => drawCamera(index));
}

let waiting = false;
function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}
