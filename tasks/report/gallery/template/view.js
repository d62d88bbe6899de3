// Which part of a picture is shown, and how large: pure functions of plain values.
//
// A view is `zoom`, by which a picture is larger than one that is seen whole, and `x`
// and `y`, the point in the middle of the room, as shares of the picture. Pictures of different
// sizes therefore show the same spot in the same view. A picture is its `width` and `height` in
// pixels. A room is the `width` and `height` into which it goes, in CSS pixels, and `ratio`, the
// pixels of the screen in a CSS pixel.

const WHOLE = { zoom: 1, x: 0.5, y: 0.5 };
const LARGEST = 8;

// Return how many CSS pixels a pixel of a picture gets if it is seen whole. A small picture fills the
// room, too; `scaleOf` then says that it is enlarged.
function fitScale(picture, room) {
  return Math.min(room.width / picture.width, room.height / picture.height);
}

// Return the zoom at which each pixel of a picture is one pixel of the screen; below 1 for a small one.
function actualZoom(picture, room) {
  return 1 / room.ratio / fitScale(picture, room);
}

// Return where a picture is in its room, in CSS pixels.
function placed(view, picture, room) {
  const scale = fitScale(picture, room) * view.zoom;
  const [width, height] = [picture.width * scale, picture.height * scale];
  return {
    width,
    height,
    left: room.width / 2 - inside(view.x, width, room.width) * width,
    top: room.height / 2 - inside(view.y, height, room.height) * height,
  };
}

// Return the middle that is closest to the wanted one, and leaves no part of the room empty that
// the picture can fill.
function inside(middle, length, room) {
  const half = room / 2 / length;
  return half >= 0.5 ? 0.5 : Math.min(Math.max(middle, half), 1 - half);
}

function settled(view, picture, room) {
  const place = placed(view, picture, room);
  return {
    zoom: view.zoom,
    x: inside(view.x, place.width, room.width),
    y: inside(view.y, place.height, room.height),
  };
}

// Return a view that is closer by a factor, in which the same spot is at a point of the room.
function zoomedAt(view, factor, point, picture, room) {
  const most = Math.max(LARGEST * actualZoom(picture, room), 1);
  const least = Math.min(actualZoom(picture, room), 1);
  const zoom = Math.min(Math.max(view.zoom * factor, least), most);
  const before = placed(view, picture, room);
  const larger = zoom / view.zoom;
  const left = point.x - (point.x - before.left) * larger;
  const top = point.y - (point.y - before.top) * larger;
  const x = (room.width / 2 - left) / (before.width * larger);
  const y = (room.height / 2 - top) / (before.height * larger);
  return settled({ zoom, x, y }, picture, room);
}

// Return a view in which the picture is moved by so many CSS pixels.
function panned(view, across, down, picture, room) {
  const { width, height } = placed(view, picture, room);
  const moved = { zoom: view.zoom, x: view.x - across / width, y: view.y - down / height };
  return settled(moved, picture, room);
}

// Return the view after two fingers moved.
function pinched(view, before, after, picture, room) {
  const apart = ([a, b]) => Math.hypot(a.x - b.x, a.y - b.y);
  const between = ([a, b]) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
  const [from, to] = [between(before), between(after)];
  const factor = apart(after) / Math.max(apart(before), 1);
  const zoomed = zoomedAt(view, factor, from, picture, room);
  return panned(zoomed, to.x - from.x, to.y - from.y, picture, room);
}

// Return the factor by which a turn of the wheel zooms. Trackpads report pinches as a wheel with
// the control key, in small steps.
function wheelFactor({ deltaY, deltaMode, ctrlKey }) {
  const pixels = deltaY * [1, 16, 400][deltaMode];
  return Math.exp(-Math.max(-400, Math.min(400, pixels)) * (ctrlKey ? 0.01 : 0.002));
}

// Return the part of a room in which there is a picture, in CSS pixels.
function seen(place, room) {
  const [left, top] = [Math.max(place.left, 0), Math.max(place.top, 0)];
  const right = Math.min(place.left + place.width, room.width);
  const bottom = Math.min(place.top + place.height, room.height);
  return { left, top, width: right - left, height: bottom - top };
}

// Return where an edge is, as a share of the whole picture, if it is at a percentage of what is
// seen of it.
function edgeShare(percent, place, room) {
  const part = seen(place, room);
  return (part.left + (part.width * percent) / 100 - place.left) / place.width;
}

// Return the percentage, from 0 to 100, at which a point of the room is in what is seen.
function percentAt(x, place, room) {
  const part = seen(place, room);
  return Math.round(Math.min(Math.max(((x - part.left) / part.width) * 100, 0), 100));
}

// Return the size that a picture has beside another one: both are as large as the smaller of them.
function beside(picture, other) {
  const longest = ({ width, height }) => Math.max(width, height);
  const share = Math.min(1, longest(other) / longest(picture));
  return { width: picture.width * share, height: picture.height * share };
}

// Return how large a picture is shown, for people, and whether that is larger than its pixels.
function scaleOf(place, picture, room) {
  const percent = (place.width / picture.width) * room.ratio * 100;
  const isEnlarged = percent > 100.5;
  const text = `${percent < 10 ? percent.toFixed(1) : Math.round(percent)}%`;
  return { isEnlarged, text: isEnlarged ? `enlarged, shown at ${text}` : text };
}

// Return the name of what a key does; empty if it does nothing, or what the browser does.
function actionOf(key, isShifted, isSlider) {
  const pans = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };
  const keys = {
    ...{ ArrowLeft: "before", ArrowRight: "after", PageUp: "before", PageDown: "after" },
    ...{ Home: "first", End: "last", ArrowUp: "up", ArrowDown: "down" },
    ...{ "+": "closer", "=": "closer", "-": "farther", 0: "whole", 1: "pixels" },
    ...{ s: "star", c: "pair" },
  };
  if (isSlider && /^(Arrow|Home$|End$)/.test(key)) return "";
  const chosen = isShifted && Object.hasOwn(pans, key) ? pans : keys;
  const name = key.length === 1 ? key.toLowerCase() : key;
  return Object.hasOwn(chosen, name) ? chosen[name] : "";
}
