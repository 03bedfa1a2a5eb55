// The latency percentiles of the last minute.

const SPAN_MS = 60_000;
const COLOURS = ['#1a9b54', '#e08a00', '#c6282d'];
const LEAST_SCALE_MS = 50;

export class Strip {
  constructor(canvas) {
    this.canvas = canvas;
    this.points = [];
  }

  add(percentiles) {
    const now = performance.now();
    this.points.push({ now, percentiles });
    while (this.points[0].now < now - SPAN_MS) this.points.shift();
    this.draw(now);
  }

  draw(now) {
    const { width, height } = this.canvas;
    const context = this.canvas.getContext('2d');
    context.clearRect(0, 0, width, height);
    const largest = Math.max(LEAST_SCALE_MS, ...this.points.flatMap((p) => p.percentiles));
    const step = largest > 400 ? 200 : largest > 100 ? 50 : 20;
    const top = Math.ceil(largest / step) * step;
    const y = (value) => height - 4 - (value / top) * (height - 18);
    context.font = '12px system-ui, sans-serif';
    context.fillStyle = '#5b6675';
    context.strokeStyle = '#dde2e8';
    for (let value = 0; value <= top; value += step) {
      context.beginPath();
      context.moveTo(0, y(value));
      context.lineTo(width, y(value));
      context.stroke();
    }
    context.fillText(`${top} ms`, 4, 12);
    COLOURS.forEach((colour, i) => this.line(context, now, i, colour, y));
  }

  line(context, now, i, colour, y) {
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.beginPath();
    let isDrawing = false;
    for (const point of this.points) {
      const value = point.percentiles[i];
      const x = this.canvas.width * (1 - (now - point.now) / SPAN_MS);
      if (value !== null && isDrawing) context.lineTo(x, y(value));
      else if (value !== null) context.moveTo(x, y(value));
      isDrawing = value !== null;
    }
    context.stroke();
    context.lineWidth = 1;
  }
}
