/** The curves of a job: every point is kept, and as many are drawn as a screen can show. */

export const CURVES = ["sparsity", "alpha", "lambda", "loss", "metric"];

export class Curves {
  #x = Object.fromEntries(CURVES.map((name) => [name, []]));
  #y = Object.fromEntries(CURVES.map((name) => [name, []]));
  #step = -1;
  points = 0;

  /** Adds a progress point. Where steps begin anew, as in another attempt, the line breaks. */
  add(point) {
    for (const name of CURVES) {
      if (point[name] === null || point[name] === undefined) continue;
      if (point.step < this.#step && this.#x[name].length) this.#push(name, point.step, null);
      this.#push(name, point.step, point[name]);
    }
    this.#step = point.step;
    this.points += 1;
  }

  /** The last value of a curve, or null. */
  latest(name) {
    return this.#y[name].at(-1) ?? null;
  }

  /** How many values a curve has. */
  length(name) {
    return this.#y[name].length;
  }

  /**
   * A curve of at most about so many points. Of each stretch the least and the greatest value are kept, in their
   * order: no peak is lost, which a mean or every tenth point would.
   */
  thinned(name, most) {
    const [x, y] = [this.#x[name], this.#y[name]];
    if (y.length <= most) return { x: x.slice(), y: y.slice() };
    const kept = [0];
    const stretch = (y.length - 2) / (most / 2);
    for (let i = 0; i < most / 2; i += 1) {
      const [start, end] = [1 + Math.floor(i * stretch), 1 + Math.floor((i + 1) * stretch)];
      let [low, high] = [start, start];
      for (let at = start; at < end; at += 1) {
        if (y[at] === null) { low = high = at; break; }
        if (y[at] < y[low]) low = at;
        if (y[at] > y[high]) high = at;
      }
      if (end > start) kept.push(...(low === high ? [low] : [Math.min(low, high), Math.max(low, high)]));
    }
    kept.push(y.length - 1);
    return { x: kept.map((at) => x[at]), y: kept.map((at) => y[at]) };
  }

  #push(name, step, value) {
    this.#x[name].push(step);
    this.#y[name].push(value);
  }
}
