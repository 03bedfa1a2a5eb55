// The live page: one WebSocket in, commands and buttons out.
import { drawCamera, decodeCells } from './camera.js';
import { Strip } from './strip.js';

const STATUS_TIMEOUT_S = 3;
const RECONNECT_MS = 1000;

const $ = (id) => document.getElementById(id);
const strip = new Strip($('strip'));
let socket = null;
let palette = null;
let reasons = {};
let chosenWord = -1; // of the attention: all words together
// What is shown: the last snapshot, and the 3D view once three.js is loaded.
const live = (window.live = { snapshot: null, space: null });

function connect() {
  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
  socket = new WebSocket(`${scheme}//${location.host}/live${location.search}`);
  socket.onopen = () => document.body.classList.remove('lost');
  socket.onmessage = (event) => hear(JSON.parse(event.data));
  socket.onclose = () => {
    lose('no connection', 'the page has lost its server; trying again');
    setTimeout(connect, RECONNECT_MS);
  };
}

function send(wish) {
  if (socket && socket.readyState === WebSocket.OPEN) {
    socket.send(JSON.stringify(wish));
    return;
  }
  if (!wish.seen) tell('not sent: there is no connection', false);
}

function hear(message) {
  if (message.kind === 'hello') {
    palette = decodeCells(message.palette);
    reasons = message.reasons;
    if (message.has_3d && !live.space) load3d();
    $('no-scene').hidden = message.has_3d;
  } else if (message.kind === 'answer') {
    tell(message.text, message.is_good);
  } else {
    // One at a time: the server sends the next when this one is drawn, also from a hidden tab not.
    requestAnimationFrame(async () => {
      live.snapshot = message;
      try {
        await draw(message);
      } finally {
        send({ seen: true });
      }
    });
  }
}

async function load3d() {
  const { Space } = await import('./scene.js');
  try {
    live.space = new Space($('scene'));
  } catch {
    $('no-scene').textContent = 'no 3D view: this browser has no WebGL';
    $('no-scene').hidden = false;
  }
}

async function draw(snapshot) {
  drawStatus(snapshot);
  drawWords(snapshot.attention);
  drawHistory(snapshot.history);
  strip.add(snapshot.latency_ms);
  const [p50, p95, p99] = snapshot.latency_ms.map((v) => (v === null ? '–' : v.toFixed(0)));
  $('latency').textContent = `p50 ${p50}, p95 ${p95}, p99 ${p99} ms`;
  $('new-scene').hidden = snapshot.scene === null;
  if (live.space) live.space.draw(snapshot);
  await drawPicture();
}

async function drawPicture() {
  $('no-picture').hidden = live.snapshot.picture !== null;
  if (live.snapshot.picture !== null) {
    await drawCamera($('camera'), live.snapshot, $('heat').checked, chosenWord, palette);
  }
}

function drawStatus(snapshot) {
  const { state, reason, command } = snapshot.status;
  if (snapshot.status_age_s === null || snapshot.status_age_s > STATUS_TIMEOUT_S) {
    lose('no robot', 'nothing is heard from the pose node: is a graph running?');
    return;
  }
  document.body.classList.remove('lost');
  $('state').dataset.state = state;
  $('state').textContent = state;
  const doc = reason === 'ok' || state === 'succeeded' ? command : reasons[reason] || reason;
  $('reason').textContent = doc;
  $('reason').title = doc;
}

function lose(state, why) {
  document.body.classList.add('lost');
  $('state').dataset.state = 'lost';
  $('state').textContent = state;
  $('reason').textContent = why;
}

function drawWords(attention) {
  const words = attention ? attention.words : [];
  const box = $('words');
  while (box.children.length > words.length) box.lastChild.remove();
  if (chosenWord >= words.length) chosenWord = -1;
  $('spread').textContent = attention ? spreadText(attention) : '';
  words.forEach((word, i) => {
    const chip = box.children[i] || box.appendChild(makeChip(i));
    const [name, share] = chip.childNodes;
    name.textContent = word.text;
    share.textContent = `${Math.round(100 * word.share)} %`;
    chip.style.setProperty('--share', `${100 * word.share}%`);
    chip.setAttribute('aria-pressed', String(i === chosenWord));
  });
}

function spreadText({ spread, is_diffuse: isDiffuse }) {
  return `spread ${spread.toFixed(2)}${isDiffuse ? ': diffuse, it tells little' : ''}`;
}

function makeChip(i) {
  const chip = document.createElement('button');
  chip.type = 'button';
  chip.title = 'show where this word looks';
  chip.append(document.createElement('span'), document.createElement('small'));
  chip.onclick = () => {
    chosenWord = chosenWord === i ? -1 : i;
    drawWords(live.snapshot.attention);
    drawPicture();
  };
  return chip;
}

function drawHistory(entries) {
  const list = $('history');
  const key = JSON.stringify(entries);
  if (list.dataset.key === key) return; // do not take the place from under a reader
  list.dataset.key = key;
  list.replaceChildren(...[...entries].reverse().map(historyRow));
}

function historyRow(entry) {
  const row = document.createElement('li');
  const button = document.createElement('button');
  button.type = 'button';
  button.dataset.state = entry.state;
  const outcome = document.createElement('small');
  const moving = entry.state === 'running' || entry.state === 'succeeded';
  outcome.textContent = moving ? entry.state : entry.reason.replaceAll('_', ' ');
  button.append(entry.command, outcome);
  button.onclick = () => {
    $('command').value = entry.command;
    $('command').focus();
  };
  row.append(button);
  return row;
}

function tell(text, isGood) {
  $('answer').textContent = text;
  $('answer').classList.toggle('bad', !isGood);
}

$('form').onsubmit = (event) => {
  event.preventDefault();
  if ($('command').value.trim()) send({ say: $('command').value });
  $('command').value = '';
  tell('', true);
};
$('command').onkeydown = (event) => {
  const entry = live.snapshot?.history.at(-1);
  if (event.key !== 'ArrowUp' || !entry) return;
  event.preventDefault();
  $('command').value = entry.command;
};
$('heat').onchange = () => live.snapshot && drawPicture();
$('stop').onclick = () => send({ say: 'stop' });
$('new-scene').onclick = () => send({ press: 'scene' });
$('estop').onclick = () => send({ press: 'estop' });
$('reset').onclick = () => send({ press: 'reset' });
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') send({ press: 'estop' });
});

connect();
