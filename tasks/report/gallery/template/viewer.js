// The viewer: a result over its content, with an edge between them that moves, or two results.

const viewer = document.querySelector(".viewer");
const stage = viewer.querySelector(".stage");
const slider = viewer.querySelector(".slider input");
const panes = Array.from(viewer.querySelectorAll(".pane"), (element) => ({
  element,
  compared: element.querySelector(".compared"),
  above: element.querySelector(".above"),
  below: element.querySelector(".below"),
  frame: element.querySelector(".frame"),
  left: element.querySelector(".tag.left"),
  right: element.querySelector(".tag.right"),
  scale: element.querySelector(".scale"),
}));
const button = (name) => viewer.querySelector(`[data-do="${name}"]`);

// The rows that are seen: one, or two beside each other.
let looked = [];
let view = WHOLE;
let percent = 50;

const isPair = () => looked.length === 2;
const current = () => looked.at(-1);

function rowsToShow() {
  const there = ordered.filter((row) => row.link && !row.element.hidden);
  return isPair() ? there.filter((row) => row !== looked[0]) : there;
}

function openOne(row) {
  open([row]);
}

function openPair(one, other) {
  open([one, other]);
}

function open(these) {
  view = WHOLE;
  percent = 50;
  look(these);
  if (!viewer.open) viewer.showModal();
  stage.focus();
  draw();
}

// Show these rows in the same view as those before.
function look(these) {
  looked = these;
  stage.classList.toggle("pair", isPair());
  panes[1].element.hidden = !isPair();
  for (const [number, row] of looked.entries()) fill(panes[number], row, number);
  viewer.querySelector("h2").replaceChildren(...these.map(nameOf));
  const { href, dataset } = current().link;
  viewer.querySelector("a.open").href = href;
  viewer.querySelector("a.download").href = dataset.file ?? href;
  showStyle();
  const there = rowsToShow();
  const place = there.indexOf(current());
  const position = `${place + 1} of ${there.length}`;
  viewer.querySelector(".facts").textContent = isPair() ? "" : `${position} · ${factsOf(current())}`;
  say(`${these.map((row) => row.output).join(" / ")}, ${position}`);
  button("before").disabled = place <= 0;
  button("after").disabled = place === there.length - 1;
  button("pair").disabled = !isPair() && !partnerOf(current());
  button("pair").setAttribute("aria-pressed", String(isPair()));
  showStar();
  draw();
  // An element that is disabled would take no more keys.
  if (document.activeElement?.disabled) stage.focus();
  preload(there[place + 1]);
}

// Return an element with the name of a result, and with its letter if there are two of them.
function nameOf(row, number) {
  const name = document.createElement("span");
  name.className = "name";
  // As on the cards: names are paths, which are read from the left in every script.
  name.dir = "ltr";
  name.append(...row.element.querySelector("h3").cloneNode(true).childNodes);
  if (isPair()) name.prepend(`${"AB"[number]}: `);
  return name;
}

// Tell readers what the picture shows now: the focus stays where it is.
function say(text) {
  viewer.querySelector(".said").textContent = text;
}

function fill(pane, row, number) {
  const { content } = row.link.dataset;
  const hasContent = !isPair() && Boolean(content);
  setSource(pane.above, row.link.href, row.link.querySelector("img")?.alt ?? "result");
  setSource(
    pane.below,
    hasContent ? content : "",
    row.element.querySelector(".content img")?.alt ?? "photograph",
  );
  pane.element.classList.toggle("alone", !hasContent);
  pane.left.textContent = isPair()
    ? `${"AB"[number]}: ${differenceOf(row, looked[1 - number])}`
    : "photograph";
  pane.right.textContent = isPair() ? "" : "result";
  pane.right.hidden = isPair();
}

function setSource(image, url, text) {
  image.alt = url ? text : "";
  if (!url) image.removeAttribute("src");
  else if (image.getAttribute("src") !== url) image.src = url;
}

function showStyle() {
  const styled = viewer.querySelector(".styled");
  const { styled: url } = current().link.dataset;
  const text = current().element.querySelector(".style img")?.alt ?? "style";
  setSource(styled, isPair() ? "" : url, text);
}

function preload(row) {
  if (row) new Image().src = row.link.href;
}

function textsOf(element) {
  return Array.from(
    element?.children ?? [],
    (fact) => `${fact.firstElementChild.textContent} ${fact.lastElementChild.textContent}`,
  );
}

function variesOf(row) {
  return textsOf(row.element.querySelector(".varies")).join(" · ");
}

// Return in what a result differs from another one: its pictures if they are others, and what varies.
function differenceOf(row, other) {
  const [mine, its] = [row.element.dataset, other.element.dataset];
  const names = ["contentName", "styleName"].filter((name) => mine[name] !== its[name]);
  const files = names.map((name) => mine[name].split("/").at(-1));
  return [...files, variesOf(row)].filter(Boolean).join(" · ") || row.output;
}

function factsOf(row) {
  const facts = Array.from(row.element.querySelectorAll(".words dl"), textsOf).flat();
  return [row.element.querySelector(".state").textContent.trim(), ...facts].join(" · ");
}

function showStar() {
  button("star").setAttribute("aria-pressed", String(current().starred === "yes"));
  button("star").setAttribute("aria-label", `star ${current().output}`);
}

// Return another result of the same content if there is one, or else the next or previous one.
function partnerOf(row) {
  const there = rowsToShow();
  const place = there.indexOf(row);
  const others = [...there.slice(place + 1), ...there.slice(0, Math.max(place, 0)).reverse()];
  const { contentName } = row.element.dataset;
  return others.find((other) => other.element.dataset.contentName === contentName) ?? others[0];
}

const sizeOf = (image) => ({ width: image.naturalWidth, height: image.naturalHeight });

function roomOf(pane) {
  const { clientWidth, clientHeight } = pane.element;
  return { width: clientWidth, height: clientHeight, ratio: window.devicePixelRatio };
}

// Return the size with which a pane's picture counts.
function measureOf(pane) {
  const size = sizeOf(pane.above);
  if (!isPair()) return size;
  const other = sizeOf(panes.find((each) => each !== pane).above);
  return other.width ? beside(size, other) : size;
}

const isReady = (pane) => pane.above.naturalWidth > 0 && pane.element.clientWidth > 0;

function draw() {
  if (!viewer.open) return;
  for (const pane of panes.slice(0, looked.length).filter(isReady)) {
    const room = roomOf(pane);
    const place = placed(view, measureOf(pane), room);
    const part = seen(place, room);
    setPixels(pane.compared, place);
    setPixels(pane.frame, part);
    pane.compared.style.setProperty("--edge", `${edgeShare(percent, place, room) * 100}%`);
    pane.frame.style.setProperty("--edge", `${percent}%`);
    const { isEnlarged, text } = scaleOf(place, sizeOf(pane.above), room);
    pane.scale.textContent = text;
    pane.scale.classList.toggle("enlarged", isEnlarged);
  }
  slider.disabled = isPair() || panes[0].element.classList.contains("alone");
  slider.value = percent;
  slider.setAttribute("aria-valuetext", `${percent}% photograph`);
}

function setPixels(element, lengths) {
  for (const [name, length] of Object.entries(lengths))
    element.style.setProperty(`--${name}`, `${length}px`);
}

// Change the view by one of the functions of views, as seen in a pane.
function change(by, pane = panes[0]) {
  if (!isReady(pane)) return;
  view = by(measureOf(pane), roomOf(pane));
  draw();
}

function step(by) {
  const there = rowsToShow();
  const next = there[there.indexOf(current()) + by];
  if (next) look([...looked.slice(0, -1), next]);
}

function jump(index) {
  const next = rowsToShow().at(index);
  if (next) look([...looked.slice(0, -1), next]);
}

const middle = (room) => ({ x: room.width / 2, y: room.height / 2 });
const zoom = (factor) =>
  change((picture, room) => zoomedAt(view, factor, middle(room), picture, room));
const pan = (across, down) =>
  change((picture, room) =>
    panned(view, (across * room.width) / 8, (down * room.height) / 8, picture, room),
  );

const actions = {
  before: () => step(-1),
  after: () => step(1),
  first: () => jump(0),
  last: () => jump(-1),
  closer: () => zoom(1.25),
  farther: () => zoom(1 / 1.25),
  whole: () => change(() => WHOLE),
  pixels: () => change((picture, room) => settled({ ...view, zoom: actualZoom(picture, room) }, picture, room)),
  left: () => pan(1, 0),
  right: () => pan(-1, 0),
  up: () => pan(0, 1),
  down: () => pan(0, -1),
  star: () => {
    star(current());
    showStar();
    say(current().starred === "yes" ? "starred" : "not starred");
  },
  pair: () => {
    const other = isPair() ? null : partnerOf(current());
    if (other) look([current(), other]);
    else if (isPair()) look(looked.slice(0, 1));
  },
  close: () => viewer.close(),
};

viewer.addEventListener("click", (event) => {
  const pressed = event.target.closest("[data-do]");
  if (pressed) actions[pressed.dataset.do]();
});
viewer.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const action = actionOf(event.key, event.shiftKey, event.target === slider);
  if (!action) return;
  event.preventDefault();
  actions[action]();
});
viewer.addEventListener("close", () => {
  const last = current();
  for (const pane of panes) setSource(pane.above, "", "");
  choose();
  if (last.element.hidden) document.getElementById("rows").focus();
  else last.link.focus();
});

// Pointers: one moves the edge or the picture, two zoom.

const pointers = new Map();
let grabbed = panes[0];
let movesEdge = false;

// While the stage has captured a pointer, it is the target of all events, wherever they are.
function paneAt(event) {
  const isOver = ({ element }) => {
    const box = element.getBoundingClientRect();
    const across = event.clientX >= box.left && event.clientX < box.right;
    return across && event.clientY >= box.top && event.clientY < box.bottom;
  };
  return panes.slice(0, looked.length).find(isOver) ?? panes[0];
}

function pointIn(pane, event) {
  const box = pane.element.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

// Whether a drag from here moves the edge: near the edge, or if the picture has nowhere to go.
function isAtEdge(point) {
  if (slider.disabled || !isReady(grabbed)) return false;
  const room = roomOf(grabbed);
  const part = seen(placed(view, measureOf(grabbed), room), room);
  const isNear = Math.abs(point.x - part.left - (part.width * percent) / 100) < 24;
  return isNear || view.zoom <= 1;
}

stage.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  if (!pointers.size) grabbed = paneAt(event);
  const point = pointIn(grabbed, event);
  pointers.set(event.pointerId, point);
  movesEdge = pointers.size === 1 && isAtEdge(point);
  stage.setPointerCapture(event.pointerId);
});
stage.addEventListener("pointermove", (event) => {
  const before = pointers.get(event.pointerId);
  if (!before) return;
  const after = pointIn(grabbed, event);
  const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
  pointers.set(event.pointerId, after);
  if (other)
    change((picture, room) => pinched(view, [before, other], [after, other], picture, room), grabbed);
  else if (movesEdge)
    change((picture, room) => {
      percent = percentAt(after.x, placed(view, picture, room), room);
      return view;
    }, grabbed);
  else
    change(
      (picture, room) => panned(view, after.x - before.x, after.y - before.y, picture, room),
      grabbed,
    );
});
for (const name of ["pointerup", "pointercancel"])
  stage.addEventListener(name, (event) => {
    pointers.delete(event.pointerId);
    movesEdge = false;
  });
stage.addEventListener(
  "wheel",
  (event) => {
    event.preventDefault();
    const pane = paneAt(event);
    const point = pointIn(pane, event);
    change(
      (picture, room) => zoomedAt(view, wheelFactor(event), point, picture, room),
      pane,
    );
  },
  { passive: false },
);
stage.addEventListener("dblclick", (event) => {
  const pane = paneAt(event);
  const point = pointIn(pane, event);
  change((picture, room) => {
    if (view.zoom > 1) return WHOLE;
    return zoomedAt(WHOLE, Math.max(actualZoom(picture, room), 2), point, picture, room);
  }, pane);
});
slider.addEventListener("input", () => {
  percent = slider.valueAsNumber;
  draw();
});
// The arrow keys go to other pictures again once a pointer has left the slider.
slider.addEventListener("pointerup", () => stage.focus());
for (const pane of panes) pane.above.addEventListener("load", draw);
window.addEventListener("resize", draw);
