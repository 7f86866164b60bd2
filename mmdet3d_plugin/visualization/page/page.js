'use strict';

// Builds the page around its content and connects the parts; the last file of all.

function checkbox(id, name, sample, key) {
  const row = document.createElement('li');
  row.innerHTML = `<label title="Key ${key}"><input type="checkbox" id="${id}">` +
    `<svg width="34" height="16" aria-hidden="true">${sample}</svg><span></span></label>`;
  row.querySelector('span').textContent = name;
  element('layers').append(row);
  return row;
}

function buildLayers() {
  CONTENT.layers.forEach((layer, index) => {
    const fill = layer.kind === 'truth' ? 0.25 : 0;
    const row = checkbox(`layer-${index}`, layer.name,
      `<rect x="2" y="2" width="30" height="12" rx="1" stroke="var(--layer-${index})" fill="var(--layer-${index})" ` +
      `fill-opacity="${fill}" stroke-width="2" stroke-dasharray="${layer.dash.join(' ')}"/>`, index + 1);
    row.querySelector('label').insertAdjacentHTML('beforeend', `<span class="count" id="count-${index}"></span>`);
    row.querySelector('input').addEventListener('change', () => toggleLayer(index));
  });
  const dots = [[5, 5], [11, 10], [16, 4], [22, 11], [28, 6]].map(([x, y]) => `<circle cx="${x}" cy="${y}" r="1.6"/>`);
  checkbox('points', 'LiDAR points', `<g fill="var(--point)">${dots.join('')}</g>`, 'P')
    .querySelector('input').addEventListener('change', (event) => change({ points: event.target.checked }));
}

// colours of the layers as variables, for the legend
function paintLegend() {
  const side = DARK.matches ? 1 : 0;
  CONTENT.layers.forEach((layer, index) => document.documentElement.style.setProperty(`--layer-${index}`, layer.colour[side]));
  element('classes').replaceChildren(...CONTENT.classes.map(({ name, colour }) => {
    const row = document.createElement('li');
    const chip = document.createElement('i');
    chip.style.background = DARK.matches ? lighter(colour) : colour;
    row.append(chip, name.replace('_', ' '));
    return row;
  }));
}

// Rows of two or three as one looks around the car; cameras of other names come behind, in their order.
const ORDERS = {
  '--two': ['FRONT', 'BACK', 'FRONT_LEFT', 'FRONT_RIGHT', 'BACK_LEFT', 'BACK_RIGHT'],
  '--three': ['FRONT_LEFT', 'FRONT', 'FRONT_RIGHT', 'BACK_LEFT', 'BACK', 'BACK_RIGHT'],
};

function buildCameras() {
  CONTENT.frames[0].cameras.forEach(({ name }, index) => {
    const figure = document.createElement('figure');
    const caption = document.createElement('figcaption');
    caption.textContent = name.replace(/^CAM_/, '').replace('_', ' ').toLowerCase();
    figure.append(document.createElement('canvas'), caption);
    for (const [key, names] of Object.entries(ORDERS)) {
      const place = names.indexOf(name.replace(/^CAM_/, ''));
      figure.style.setProperty(key, place < 0 ? names.length : place);
    }
    figure.addEventListener('click', () => { figure.classList.toggle('large'); redraw(); });
    element('cameras').append(figure);
    cameras[index] = { figure, canvas: figure.firstChild };
  });
  for (const frame of CONTENT.frames) {
    for (const camera of frame.cameras) {
      camera.picture = new Image();
      camera.picture.onload = redraw;
      camera.picture.src = camera.image;
    }
  }
}

function connect() {
  element('frame').max = CONTENT.frames.length - 1;
  element('score').min = CONTENT.lowest_score;
  element('credit').textContent = CONTENT.credit;
  element('previous').addEventListener('click', () => step(-1));
  element('next').addEventListener('click', () => step(1));
  element('play').addEventListener('click', togglePlay);
  element('frame').addEventListener('input', (event) => step(Number(event.target.value) - state.frame));
  element('score').addEventListener('input', (event) => change({ score: Number(event.target.value) }));
  element('split').addEventListener('change', (event) => change({ split: event.target.checked }));
  for (const radio of document.querySelectorAll('input[name=colour]')) {
    radio.addEventListener('change', () => change({ colour: radio.value }));
  }
  element('zoom-in').addEventListener('click', () => zoom(1.25));
  element('zoom-out').addEventListener('click', () => zoom(0.8));
  element('zoom-reset').addEventListener('click', resetView);
  document.addEventListener('keydown', onKey);
  DARK.addEventListener('change', () => { paintLegend(); redraw(); });
  new ResizeObserver(redraw).observe(canvas);
}

buildLayers();
paintLegend();
buildCameras();
connect();
watchMouse();
draw();
