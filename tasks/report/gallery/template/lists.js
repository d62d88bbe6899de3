// Lists of rows as text, to be saved: pure functions of plain values.

// Return lines as `nst-batch run --only` takes them, such as `3,7-9`.
function onlyText(lines) {
  const runs = [];
  for (const line of [...lines].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last && line === last[1] + 1) last[1] = line;
    else runs.push([line, line]);
  }
  return runs.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(",");
}

// Return rows of cells as CSV. A text that a spreadsheet might run as a formula gets an apostrophe,
// as in summary.csv.
function csvText(rows) {
  const cell = (value) => {
    const text = /^[=+\-@\t\r\n']/.test(value) ? `'${value}` : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

// Return the names in a stored text; an empty set if it is not a list of names.
function starsOf(text) {
  try {
    const names = JSON.parse(text ?? "[]");
    return new Set(Array.isArray(names) ? names.filter((name) => typeof name === "string") : []);
  } catch {
    return new Set();
  }
}
