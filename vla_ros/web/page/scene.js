// The robot's table in 3D: objects, the predicted path, the pose sent and the measured one.
// Base frame: x forward, y left, z up, metres.
import { THREE, OrbitControls } from './three.js';

const LOOK_AT = [0.4, 0, 0.08];
const EYE = [1.08, -0.34, 0.6]; // from where a camera in front of the robot looks
const OBJECT_M = 0.044; // as in vla_ros/sim/scene.py
const ZONE_RADIUS_M = 0.06;
const AXIS_M = 0.07;
const TRAIL_POINTS = 300;
const MAX_PATH_POINTS = 1000;
const OPEN = new THREE.Color('#1a9b54');
const CLOSED = new THREE.Color('#e0701a');
const COLOURS = {
  red: '#d23c3c', green: '#2f9e4f', blue: '#2f6fd6', yellow: '#e6c229', purple: '#8a4fc4', orange: '#ec8022',
};

export class Space {
  constructor(canvas) {
    THREE.Object3D.DEFAULT_UP.set(0, 0, 1);
    this.canvas = canvas;
    this.renderer = new THREE.WebGLRenderer({ canvas, antialias: true });
    this.renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    this.camera = new THREE.PerspectiveCamera(40, 1, 0.01, 10);
    this.camera.position.set(...EYE);
    this.scene = new THREE.Scene();
    this.scene.background = new THREE.Color('#f5f7f9');
    this.scene.add(new THREE.HemisphereLight('#ffffff', '#c9cfd6', 2.2));
    const sun = new THREE.DirectionalLight('#ffffff', 1.4);
    sun.position.set(-0.3, -0.5, 1);
    this.scene.add(sun, table());
    this.things = new Map();
    this.path = line(MAX_PATH_POINTS, { vertexColors: true, linewidth: 2 });
    this.dots = new THREE.Points(
      this.path.geometry,
      new THREE.PointsMaterial({ size: 0.012, vertexColors: true }),
    );
    this.trail = line(TRAIL_POINTS, { color: '#8b95a1' });
    this.trailPoints = [];
    this.target = axes(AXIS_M);
    this.hand = gripper();
    this.workspace = new THREE.Box3Helper(new THREE.Box3(), '#c3cad3');
    this.workspace.visible = false;
    this.scene.add(this.workspace, this.path, this.dots, this.trail, this.target, this.hand);
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.target.set(...LOOK_AT);
    this.controls.update();
    this.controls.addEventListener('change', () => this.render());
    new ResizeObserver(() => this.resize()).observe(canvas);
  }

  resize() {
    const { clientWidth, clientHeight } = this.canvas;
    this.renderer.setSize(clientWidth, clientHeight, false);
    this.camera.aspect = clientWidth / Math.max(clientHeight, 1);
    this.camera.updateProjectionMatrix();
    this.render();
  }

  render() {
    this.renderer.render(this.scene, this.camera);
  }

  draw({ workspace, chunk, target, measured, gripper: closing, scene }) {
    this.workspace.visible = workspace !== null;
    if (workspace) {
      this.workspace.box.min.set(...workspace[0]);
      this.workspace.box.max.set(...workspace[1]);
    }
    this.drawThings(scene || { objects: {}, zones: {} });
    drawPath(this.path.geometry, chunk);
    place(this.target, target);
    place(this.hand, measured);
    for (const finger of this.hand.userData.fingers) {
      finger.position.y = finger.userData.side * (0.012 + 0.022 * (1 - (closing ?? 0)));
    }
    this.drawTrail(measured);
    this.render();
  }

  drawThings({ objects, zones }) {
    const named = [
      ...Object.entries(objects).map(([name, at]) => [`object ${name}`, name, at, thing]),
      ...Object.entries(zones).map(([name, at]) => [`zone ${name}`, name, [...at, 0.001], disc]),
    ];
    const present = new Set(named.map(([key]) => key));
    for (const [key, mesh] of this.things) {
      if (!present.has(key)) {
        this.scene.remove(mesh);
        mesh.geometry.dispose();
        mesh.material.dispose();
        this.things.delete(key);
      }
    }
    for (const [key, name, at, make] of named) {
      if (!this.things.has(key)) {
        this.things.set(key, make(name));
        this.scene.add(this.things.get(key));
      }
      this.things.get(key).position.set(...at.slice(0, 3));
    }
  }

  drawTrail(measured) {
    if (!measured) return;
    this.trailPoints.push(measured.slice(0, 3));
    if (this.trailPoints.length > TRAIL_POINTS) this.trailPoints.shift();
    fill(this.trail.geometry, this.trailPoints);
  }
}

function table() {
  const grid = new THREE.GridHelper(0.8, 16, '#b4bcc6', '#d6dce3');
  grid.rotation.x = Math.PI / 2; // three.js draws it across y
  grid.position.set(0.4, 0, 0);
  return new THREE.Group().add(grid, axes(0.1));
}

function line(points, style) {
  const geometry = new THREE.BufferGeometry();
  for (const name of ['position', 'color']) {
    geometry.setAttribute(name, new THREE.BufferAttribute(new Float32Array(3 * points), 3));
  }
  geometry.setDrawRange(0, 0);
  const made = new THREE.Line(geometry, new THREE.LineBasicMaterial(style));
  made.frustumCulled = false;
  return made;
}

function fill(geometry, points) {
  geometry.attributes.position.array.set(points.flat());
  geometry.attributes.position.needsUpdate = true;
  geometry.setDrawRange(0, points.length);
}

function drawPath(geometry, chunk) {
  const rows = chunk.slice(0, MAX_PATH_POINTS);
  fill(geometry, rows.map((row) => row.slice(0, 3)));
  rows.forEach((row, i) => {
    const colour = OPEN.clone().lerp(CLOSED, Math.min(Math.max(row[3], 0), 1));
    geometry.attributes.color.setXYZ(i, colour.r, colour.g, colour.b);
  });
  geometry.attributes.color.needsUpdate = true;
}

function place(object, pose) {
  object.visible = pose !== null;
  if (pose === null) return;
  object.position.set(...pose.slice(0, 3));
  object.quaternion.set(...pose.slice(3));
}

function axes(length) {
  const made = new THREE.AxesHelper(length);
  made.setColors('#d23c3c', '#2f9e4f', '#2461c4');
  return made;
}

// The tool's z looks out of the hand; its fingers lie along its y.
function gripper() {
  const material = new THREE.MeshLambertMaterial({ color: '#38424f' });
  const box = (x, y, z) => new THREE.Mesh(new THREE.BoxGeometry(x, y, z), material);
  const palm = box(0.022, 0.09, 0.02);
  palm.position.z = -0.06;
  const fingers = [1, -1].map((side) => {
    const finger = box(0.014, 0.008, 0.06);
    finger.position.set(0, 0.034 * side, -0.02);
    finger.userData.side = side;
    return finger;
  });
  const hand = new THREE.Group().add(palm, ...fingers);
  hand.userData.fingers = fingers;
  return hand;
}

function thing(name) {
  const [colour, shape] = name.split(' ');
  const half = OBJECT_M / 2;
  const geometry = {
    cylinder: () => new THREE.CylinderGeometry(half, half, OBJECT_M, 32).rotateX(Math.PI / 2),
    ball: () => new THREE.SphereGeometry(half, 32, 16),
  }[shape] || (() => new THREE.BoxGeometry(OBJECT_M, OBJECT_M, OBJECT_M));
  const material = new THREE.MeshLambertMaterial({ color: COLOURS[colour] || '#8b95a1' });
  return new THREE.Mesh(geometry(), material);
}

function disc(name) {
  const material = new THREE.MeshBasicMaterial({
    color: COLOURS[name] || '#8b95a1', transparent: true, opacity: 0.35,
  });
  return new THREE.Mesh(new THREE.CircleGeometry(ZONE_RADIUS_M, 48), material);
}
