/** The same order as lines for a shell: with curl, and with Sterna's own command. */

const FLAGS = [
  ["tolerance", "--tolerance"],
  ["granularity", "--granularity"],
  ["objective", "--objective"],
  ["method", "--method"],
  ["search.strategy", "--strategy"],
  ["search.alpha", "--alpha"],
  ["side_by_side", "--side-by-side"],
  ["budget.epochs", "--epochs"],
  ["budget.seconds", "--seconds"],
  ["acceptance.max_drop", "--max-drop"],
  ["acceptance.on_miss", "--on-miss"],
  ["seed", "--seed"],
];

/**
 * A job as one curl, files and all.
 *
 * @param {{spec: Object, model: string, data: string?, address: string, keyed: boolean}} order file names and the
 *   spec without its files; `keyed`: whether the service asks for a key.
 */
export function curlJob({ spec, model, data, address, keyed }) {
  return lines([
    "curl",
    ...key(keyed),
    `-F model=@${quoted(model)}`,
    data ? `-F data=@${quoted(data)}` : null,
    `-F ${quoted(`spec=${JSON.stringify(spec)}`)}`,
    `${address}/v1/jobs`,
  ]);
}

/** A sweep as curl; its files are uploads that are there. */
export function curlSweep({ spec, modelId, dataId, address, keyed }) {
  const body = { model: modelId ?? "upl_…", ...(dataId ? { data: dataId } : {}), ...spec };
  return lines(["curl", ...key(keyed), "-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(body))}`, `${address}/v1/sweeps`]);
}

/** Either with the command line of Sterna. */
export function sternaCommand({ spec, targets, model, data, address, keyed }) {
  const given = FLAGS.map(([path, flag]) => [flag, path.split(".").reduce((at, name) => at?.[name], spec)]).filter(([, value]) => value !== undefined && value !== null);
  return lines([
    ...(keyed ? ['STERNA_API_KEY="$KEY"'] : []),
    `STERNA_URL=${quoted(address)}`,
    `sterna ${targets ? "sweep " : ""}submit ${quoted(model)}`,
    data ? `--data ${quoted(data)}` : null,
    ...(targets ?? [spec.target_sparsity]).map((one) => `--sparsity ${one}`),
    ...given.map(([flag, value]) => `${flag} ${quoted(String(value))}`),
    ...(spec.exclude ?? []).map((glob) => `--exclude ${quoted(glob)}`),
    ...(spec.exports ?? []).map((name) => `--export ${name}`),
    ...Object.entries(spec.labels ?? {}).map(([name, value]) => `--label ${quoted(`${name}=${value}`)}`),
  ]);
}

/** A word as a shell takes it. */
export function quoted(word) {
  return /^[A-Za-z0-9_./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function key(keyed) {
  return keyed ? ['-H "Authorization: Bearer $KEY"'] : [];
}

function lines(parts) {
  return parts.filter((part) => part !== null).join(" \\\n  ");
}
