/** Figures as people read them. Whatever is missing becomes a dash. */

const DASH = "–";
const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** Bytes with three digits: 13,436 → 13.4 kB. */
export function bytes(count) {
  if (!isNumber(count)) return DASH;
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : digits(value, 3)} ${UNITS[unit]}`;
}

/** A number with so many significant digits and thousands set apart. */
export function digits(value, significant = 3) {
  if (!isNumber(value)) return DASH;
  if (value === 0) return "0";
  const exponent = Math.floor(Math.log10(Math.abs(value)));
  if (exponent < -4 || exponent > 14) return value.toExponential(Math.max(0, significant - 1));
  const places = Math.min(12, Math.max(0, significant - 1 - exponent));
  return value.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places });
}

/** A whole number with thousands set apart. */
export function whole(value) {
  return isNumber(value) ? Math.round(value).toLocaleString("en") : DASH;
}

/** A share of 1 with four places, as sparsity is given. */
export function share(value) {
  return isNumber(value) ? value.toFixed(4) : DASH;
}

/** A share of 1 as a target is typed: 0.7, 0.955. */
export function target(value) {
  return isNumber(value) ? String(Number(value.toFixed(6))) : DASH;
}

/** A metric: a share for accuracy and agreement, three digits for anything else. */
export function metric(name, value) {
  if (!isNumber(value)) return DASH;
  return isShare(name) ? `${(100 * value).toFixed(2)} %` : digits(value, 4);
}

/** A metric's name as a heading. */
export function metricTitle(name) {
  return name === "mse" ? "Mean squared error" : name ? name[0].toUpperCase() + name.slice(1) : "Metric";
}

/** How much a metric lost, with its sign; accuracy in points. */
export function drop(name, value) {
  if (!isNumber(value)) return DASH;
  const sign = value > 0 ? "−" : "+";
  const size = Math.abs(value);
  if (isShare(name)) return size < 0.00005 ? "no loss" : `${sign}${(100 * size).toFixed(2)} points`;
  return `${value > 0 ? "worse by" : "better by"} ${digits(size, 3)}`;
}

/** Seconds: 4 s, 3 min 20 s, 2 h 5 min. */
export function duration(seconds) {
  if (!isNumber(seconds)) return DASH;
  if (seconds < 1) return "< 1 s";
  const total = Math.round(seconds);
  if (total < 60) return `${total} s`;
  if (total < 3600) return `${Math.floor(total / 60)} min ${total % 60} s`;
  if (total < 86400) return `${Math.floor(total / 3600)} h ${Math.floor((total % 3600) / 60)} min`;
  return `${Math.floor(total / 86400)} d ${Math.floor((total % 86400) / 3600)} h`;
}

/** How long it may take, as a guess. */
export function roughly(seconds) {
  return isNumber(seconds) && seconds < 1 ? "a moment" : `about ${duration(seconds)}`;
}

/** How long ago, by this machine's clock: 12 s, 3 min, 5 h, 2 d. */
export function age(iso, now = Date.now()) {
  const seconds = Math.max(0, (now - Date.parse(iso)) / 1000);
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

/** A shape: 64 × 3 × 3 × 3; a size that may change is a star. */
export function shape(sizes) {
  return sizes.length ? sizes.map((size) => size ?? "*").join(" × ") : "scalar";
}

/** Whether a metric of that name is a share of 1. */
export function isShare(name) {
  return name === "accuracy" || name === "agreement";
}

export function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}
