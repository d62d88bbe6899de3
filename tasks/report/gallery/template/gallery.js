"use strict";

const list = document.querySelector(".rows");
const form = document.querySelector(".controls");
const none = document.querySelector(".none");
const viewer = document.querySelector(".viewer");

// Each keystroke needs these values of thousands of rows, so they are read only once.
const rows = Array.from(list.children, (element, place) => ({
  element,
  place,
  status: element.dataset.status,
  change: element.dataset.change,
  warned: element.dataset.warned,
  style: element.dataset.style,
  line: Number(element.dataset.line),
  loss: numberOf(element.dataset.loss),
  seconds: numberOf(element.dataset.seconds),
  moved: numberOf(element.dataset.moved),
  text: element.querySelector(".words").textContent.toLowerCase(),
}));

function numberOf(text) {
  return text === undefined ? null : Number(text);
}

// The page's URL contains how rows are chosen and ordered.

function readUrl() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  return {
    status: new Set(parameters.getAll("status")),
    change: new Set(parameters.getAll("change")),
    warned: new Set(parameters.getAll("warned")),
    style: parameters.get("style") ?? "",
    text: parameters.get("text") ?? "",
    sort: parameters.get("sort") ?? "listed",
  };
}

function writeUrl(choice) {
  const parameters = new URLSearchParams();
  for (const name of ["status", "change", "warned"])
    for (const value of choice[name]) parameters.append(name, value);
  if (choice.style) parameters.set("style", choice.style);
  if (choice.text) parameters.set("text", choice.text);
  if (choice.sort !== "listed") parameters.set("sort", choice.sort);
  const url = parameters.size ? `#${parameters}` : location.pathname + location.search;
  history.replaceState(null, "", url);
}

function readForm() {
  const pressed = (name) =>
    new Set(
      Array.from(
        form.querySelectorAll(`[data-filter="${name}"][aria-pressed="true"]`),
        (button) => button.dataset.value,
      ),
    );
  return {
    status: pressed("status"),
    change: pressed("change"),
    warned: pressed("warned"),
    style: form.elements.style.value,
    text: form.elements.text.value,
    sort: form.elements.sort.value,
  };
}

function writeForm(choice) {
  for (const button of form.querySelectorAll("[data-filter]"))
    button.setAttribute(
      "aria-pressed",
      String(choice[button.dataset.filter].has(button.dataset.value)),
    );
  form.elements.text.value = choice.text;
  form.elements.style.value = choice.style;
  form.elements.sort.value = choice.sort;
  // A URL may name a style or an order that does not exist.
  if (form.elements.style.selectedIndex < 0) form.elements.style.value = "";
  if (form.elements.sort.selectedIndex < 0) form.elements.sort.value = "listed";
}

function isChosen(row, choice, words) {
  return (
    (!choice.status.size || choice.status.has(row.status)) &&
    (!choice.change.size || choice.change.has(row.change)) &&
    (!choice.warned.size || choice.warned.has(row.warned)) &&
    (!choice.style || choice.style === row.style) &&
    words.every((word) => row.text.includes(word))
  );
}

function inOrder(sort) {
  const [name, direction] = sort.split("-");
  if (name === "listed") return [...rows].sort((a, b) => a.place - b.place);
  const sign = direction === "down" ? -1 : 1;
  // Rows without the number come last, whatever the direction.
  return [...rows].sort(
    (a, b) =>
      (a[name] === null) - (b[name] === null) || sign * (a[name] - b[name]) || a.line - b.line,
  );
}

let ordered = rows;
let orderedBy = "listed";

function show(choice) {
  if (choice.sort !== orderedBy) {
    ordered = inOrder(choice.sort);
    orderedBy = choice.sort;
    list.append(...ordered.map((row) => row.element));
  }
  const words = choice.text.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const row of rows) {
    const chosen = isChosen(row, choice, words);
    row.element.hidden = !chosen;
    count += chosen;
  }
  none.hidden = count > 0;
  form.querySelector(".shown").textContent =
    count === rows.length ? `${count} rows` : `${count} of ${rows.length} rows`;
}

function choose() {
  const choice = readForm();
  writeUrl(choice);
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
  const all = { status: new Set(), change: new Set(), warned: new Set(), style: "", text: "" };
  writeForm({ ...readForm(), ...all });
  choose();
  form.elements.text.focus();
});

function start() {
  writeForm(readUrl());
  show(readForm());
}
window.addEventListener("hashchange", start);
// The link's URL would replace the one that says what is chosen.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("rows").focus();
});
form.hidden = false;
start();

// The viewer: content and result on top of each other, and an edge between them that moves.

const stage = viewer.querySelector(".stage");
const compared = viewer.querySelector(".compared");
const above = viewer.querySelector(".above");
const below = viewer.querySelector(".below");
const edge = viewer.querySelector("input");
const pixels = viewer.querySelector('[data-do="pixels"]');
let shownLink = null;

function linksShown() {
  return ordered
    .filter((row) => !row.element.hidden)
    .map((row) => row.element.querySelector("a.result"))
    .filter(Boolean);
}

function open(link) {
  const row = link.closest(".row");
  const small = link.querySelector("img");
  const styled = viewer.querySelector(".styled");
  shownLink = link;
  above.src = link.href;
  above.alt = small ? small.alt : "result";
  compared.classList.toggle("alone", !link.dataset.content);
  if (link.dataset.content) {
    below.src = link.dataset.content;
    below.alt = row.querySelector(".content img")?.alt ?? "content";
  } else {
    below.removeAttribute("src");
  }
  if (link.dataset.styled) {
    styled.src = link.dataset.styled;
    styled.alt = row.querySelector(".style img")?.alt ?? "style";
  } else {
    styled.removeAttribute("src");
  }
  viewer.querySelector("h2").textContent = row.querySelector("h3").textContent;
  viewer.querySelector(".facts").textContent = factsOf(row);
  viewer.querySelector(".open").href = link.href;
  const links = linksShown();
  const place = links.indexOf(link);
  viewer.querySelector('[data-do="before"]').disabled = place <= 0;
  viewer.querySelector('[data-do="after"]').disabled = place === links.length - 1;
  moveEdge(50);
  if (!viewer.open) viewer.showModal();
  if (!compared.classList.contains("alone")) edge.focus();
  fit();
}

function factsOf(row) {
  const facts = Array.from(
    row.querySelectorAll(".words dl > div"),
    (fact) => `${fact.firstElementChild.textContent} ${fact.lastElementChild.textContent}`,
  );
  return [row.querySelector(".state").textContent.trim(), ...facts].join(" · ");
}

function moveEdge(percent) {
  edge.value = percent;
  edge.setAttribute("aria-valuetext", `${percent}% content`);
  compared.style.setProperty("--edge", `${percent}%`);
}

function fit() {
  const width = above.naturalWidth;
  const height = above.naturalHeight;
  if (!width || !viewer.open) return;
  const style = getComputedStyle(stage);
  const roomAcross =
    stage.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  const roomDown =
    stage.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
  const isActual = pixels.getAttribute("aria-pressed") === "true";
  const scale = isActual
    ? 1 / window.devicePixelRatio
    : Math.min(roomAcross / width, roomDown / height);
  compared.style.setProperty("--fit-width", `${width * scale}px`);
  compared.style.setProperty("--fit-height", `${height * scale}px`);
}

function step(by) {
  const links = linksShown();
  const next = links[links.indexOf(shownLink) + by];
  if (next) open(next);
}

const actions = {
  before: () => step(-1),
  after: () => step(1),
  close: () => viewer.close(),
  pixels: () => {
    pixels.setAttribute("aria-pressed", String(pixels.getAttribute("aria-pressed") !== "true"));
    fit();
  },
};

list.addEventListener("click", (event) => {
  const link = event.target.closest("a.result");
  const asksForTab = event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
  if (!link || asksForTab) return;
  event.preventDefault();
  open(link);
});
viewer.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button) actions[button.dataset.do]();
});
viewer.addEventListener("keydown", (event) => {
  const by = { PageUp: -1, PageDown: 1 }[event.key];
  if (!by) return;
  event.preventDefault();
  step(by);
});
viewer.addEventListener("close", () => {
  shownLink.focus();
  above.removeAttribute("src");
});
edge.addEventListener("input", () => moveEdge(edge.valueAsNumber));
above.addEventListener("load", fit);
window.addEventListener("resize", fit);
