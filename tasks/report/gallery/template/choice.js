// Which rows are shown, and in which order: pure functions of plain values.

const FLAGS = ["status", "change", "warned", "starred"];
const SETTING = "setting.";

// Return what the fragment of a URL chooses; what it does not name is not restricted.
function choiceOf(fragment) {
  const parameters = new URLSearchParams(fragment);
  const named = [...parameters].filter(([name]) => name.startsWith(SETTING));
  return {
    ...Object.fromEntries(FLAGS.map((name) => [name, new Set(parameters.getAll(name))])),
    settings: new Map(named.map(([name, value]) => [name.slice(SETTING.length), value])),
    style: parameters.get("style") ?? "",
    text: parameters.get("text") ?? "",
    loss: parameters.get("loss") ?? "",
    sort: parameters.get("sort") ?? "listed",
    cards: parameters.get("cards") ?? "medium",
  };
}

// Return the fragment of a URL for a choice; empty if everything is as in a page just opened.
function fragmentOf(choice) {
  const parameters = new URLSearchParams();
  for (const name of FLAGS) for (const value of choice[name]) parameters.append(name, value);
  for (const [name, value] of choice.settings) parameters.set(SETTING + name, value);
  const usually = { style: "", text: "", loss: "", sort: "listed", cards: "medium" };
  for (const [name, usual] of Object.entries(usually))
    if (choice[name] !== usual) parameters.set(name, choice[name]);
  return parameters.toString();
}

// Return the words that a row's text must contain.
function wordsOf(text) {
  return text.toLowerCase().split(/\s+/).filter(Boolean);
}

// Return whether a loss is not above a limit. It counts as people see it, with three digits.
function isUpTo(loss, limit) {
  return limit === "" || (loss !== null && Number(loss.toPrecision(3)) <= Number(limit));
}

function isChosen(row, choice, words) {
  return (
    FLAGS.every((name) => !choice[name].size || choice[name].has(row[name])) &&
    [...choice.settings].every(([name, value]) => row.settings[name] === value) &&
    isUpTo(row.loss, choice.loss) &&
    (!choice.style || choice.style === row.style) &&
    words.every((word) => row.text.includes(word))
  );
}

// Return the rows in an order, such as `loss-down`. Rows without the number come last in any case.
function inOrder(rows, sort) {
  if (sort === "listed") return [...rows].sort((a, b) => a.place - b.place);
  const name = sort.replace(/-(up|down)$/, "");
  const sign = sort.endsWith("-down") ? -1 : 1;
  return [...rows].sort(
    (a, b) =>
      (a[name] === null) - (b[name] === null) || sign * (a[name] - b[name]) || a.line - b.line,
  );
}
