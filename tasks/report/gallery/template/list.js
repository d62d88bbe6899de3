// The page itself: its rows, how they are chosen, and the stars.

const list = document.querySelector(".rows");
const form = document.querySelector(".controls");
const none = document.querySelector(".none");
const starred = document.querySelector(".starred");
const picked = document.querySelector(".picked");
const fields = Array.from(form.querySelectorAll("select[data-setting]"));

// Each keystroke needs these values of thousands of rows, so they are read only once.
const rows = Array.from(list.children, (element, place) => {
  const places = JSON.parse(element.dataset.settings ?? "[]");
  const row = {
    element,
    place,
    link: element.querySelector("a.result"),
    output: element.querySelector("h3").textContent,
    status: element.dataset.status,
    change: element.dataset.change,
    warned: element.dataset.warned,
    starred: "no",
    style: element.dataset.style,
    line: Number(element.dataset.line),
    loss: numberOf(element.dataset.loss),
    seconds: numberOf(element.dataset.seconds),
    moved: numberOf(element.dataset.moved),
    cost: numberOf(element.dataset.cost),
    look: numberOf(element.dataset.look),
    "style-score": numberOf(element.dataset.styleScore),
    "content-score": numberOf(element.dataset.contentScore),
    text: element.querySelector(".words").textContent.toLowerCase(),
    settings: {},
  };
  for (const [number, field] of fields.entries()) {
    const index = places[number] ?? null;
    // The first of the options stands for all values.
    row.settings[field.dataset.setting] = index === null ? null : field.options[index + 1].value;
    row[SETTING + field.dataset.setting] = index;
  }
  return row;
});
const rowOf = new Map(rows.map((row) => [row.element, row]));

function numberOf(text) {
  return text === undefined ? null : Number(text);
}

function readForm() {
  const pressed = (name) =>
    new Set(
      Array.from(
        form.querySelectorAll(`[data-filter="${name}"][aria-pressed="true"]`),
        (button) => button.dataset.value,
      ),
    );
  const chosen = fields.filter((field) => field.value);
  return {
    ...Object.fromEntries(FLAGS.map((name) => [name, pressed(name)])),
    settings: new Map(chosen.map((field) => [field.dataset.setting, field.value])),
    style: form.elements.style.value,
    text: form.elements.text.value,
    loss: form.elements.loss.value,
    sort: form.elements.sort.value,
    cards: form.elements.cards.value,
  };
}

function writeForm(choice) {
  for (const button of form.querySelectorAll("[data-filter]"))
    button.setAttribute(
      "aria-pressed",
      String(choice[button.dataset.filter].has(button.dataset.value)),
    );
  for (const name of ["text", "loss"]) form.elements[name].value = choice[name];
  // A URL may name a value that does not exist.
  const usual = { style: "", sort: "listed", cards: "medium" };
  for (const [name, value] of Object.entries(usual)) select(form.elements[name], choice[name], value);
  for (const field of fields) select(field, choice.settings.get(field.dataset.setting) ?? "", "");
}

function select(field, value, otherwise) {
  field.value = value;
  if (field.selectedIndex < 0) field.value = otherwise;
}

let ordered = rows;
let orderedBy = "listed";

function show(choice) {
  if (choice.sort !== orderedBy) {
    ordered = inOrder(rows, choice.sort);
    orderedBy = choice.sort;
    list.append(...ordered.map((row) => row.element));
  }
  list.dataset.cards = choice.cards;
  const words = wordsOf(choice.text);
  let count = 0;
  for (const row of rows) {
    const chosen = isChosen(row, choice, words);
    row.element.hidden = !chosen;
    count += chosen;
  }
  none.hidden = count > 0;
  form.querySelector(".shown").textContent =
    `${count === rows.length ? "" : `${count} of `}${rows.length} ${rows.length === 1 ? "row" : "rows"}`;
}

function choose() {
  const choice = readForm();
  const fragment = fragmentOf(choice);
  history.replaceState(null, "", fragment ? `#${fragment}` : location.pathname + location.search);
  show(choice);
}

form.addEventListener("click", (event) => {
  const button = event.target.closest("[data-filter]");
  if (!button) return;
  button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
  choose();
});
form.addEventListener("input", choose);
form.addEventListener("submit", (event) => event.preventDefault());
none.querySelector("button").addEventListener("click", () => {
  const { sort, cards } = readForm();
  writeForm({ ...choiceOf(""), sort, cards });
  choose();
  form.elements.text.focus();
});

// Stars: kept by this browser for this page, by the names of results.

const starsKey = `nst-batch stars ${location.pathname}`;
let stars = new Set();
let areKept = true;

function readStars() {
  try {
    stars = starsOf(localStorage.getItem(starsKey));
  } catch {
    areKept = false;
  }
}

function keepStars() {
  try {
    if (stars.size) localStorage.setItem(starsKey, JSON.stringify([...stars]));
    else localStorage.removeItem(starsKey);
  } catch {
    areKept = false;
  }
}

const starredRows = () => rows.filter((row) => row.starred === "yes");

function showStars() {
  for (const row of rows) {
    const isStarred = row.link !== null && stars.has(row.output);
    row.starred = isStarred ? "yes" : "no";
    row.element.querySelector('[data-do="star"]')?.setAttribute("aria-pressed", String(isStarred));
  }
  const chosen = starredRows().sort((a, b) => a.line - b.line);
  form.querySelector('[data-filter="starred"] b').textContent = chosen.length;
  starred.hidden = !chosen.length;
  starred.querySelector("input").value = onlyText(chosen.map((row) => row.line));
  starred.querySelector(".unkept").hidden = areKept;
}

function star(row) {
  if (!stars.delete(row.output)) stars.add(row.output);
  keepStars();
  showStars();
}

function starredTable() {
  const names = fields.map((field) => field.dataset.setting);
  const cells = starredRows()
    .sort((a, b) => a.line - b.line)
    .map((row) => [
      ...[row.line, row.output, row.element.dataset.contentName, row.element.dataset.styleName],
      ...[row.loss ?? "", ...names.map((name) => row.settings[name] ?? "")],
    ]);
  return csvText([["line", "output", "content", "style", "total_loss", ...names], ...cells]);
}

function save(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const savers = {
  lines: () => save("starred.txt", "text/plain", `${starred.querySelector("input").value}\n`),
  table: () => save("starred.csv", "text/csv", starredTable()),
  unstar: () => {
    for (const row of starredRows()) stars.delete(row.output);
    keepStars();
    showStars();
    choose();
    form.elements.text.focus();
  },
};
starred.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button) savers[button.dataset.do]();
});
starred.querySelector("input").addEventListener("focus", (event) => event.target.select());

// The first of two results to compare, until the second one is chosen.
let first = null;

function pick(row) {
  if (first && first !== row) {
    const pair = [first, row];
    pickNone();
    openPair(...pair);
  } else if (first) {
    pickNone();
  } else {
    first = row;
    row.element.querySelector('[data-do="compare"]').setAttribute("aria-pressed", "true");
    askFor(`Choose A/B on another picture, to compare it with ${row.output}.`);
  }
}

function askFor(text) {
  picked.querySelector("p").textContent = text;
  picked.querySelector("button").hidden = !text;
}

function pickNone() {
  first?.element.querySelector('[data-do="compare"]').setAttribute("aria-pressed", "false");
  first = null;
  askFor("");
}

// Give up the comparison, and go back to where it began.
function cancelPick() {
  const button = first?.element.querySelector('[data-do="compare"]');
  pickNone();
  button?.focus();
}
picked.querySelector("button").addEventListener("click", cancelPick);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !viewer.open) cancelPick();
});

// A card whose star is gone stays until its filter is used again, so that focus stays there.
const onCards = { star, compare: pick };
list.addEventListener("click", (event) => {
  const row = rowOf.get(event.target.closest(".row"));
  const button = event.target.closest("[data-do]");
  if (button) return onCards[button.dataset.do](row);
  const asksForTab = event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
  if (!event.target.closest("a.result") || asksForTab) return;
  event.preventDefault();
  openOne(row);
});

// What gets the focus, or is linked to, must not be below the controls, which stay at the top.
function keepControlsClear() {
  const isSticky = getComputedStyle(form).position === "sticky";
  document.documentElement.style.scrollPaddingTop = isSticky ? `${form.offsetHeight + 8}px` : "";
}
new ResizeObserver(keepControlsClear).observe(form);

function start() {
  writeForm(choiceOf(location.hash.slice(1)));
  show(readForm());
}
window.addEventListener("hashchange", start);
window.addEventListener("storage", (event) => {
  if (event.key !== starsKey) return;
  readStars();
  showStars();
});
// The link's URL would replace the one that says what is chosen.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("rows").focus();
});
list.classList.add("live");
form.hidden = false;
readStars();
showStars();
start();
