
// The timeline of the Video page: it moves the player, which is outside of this component and may appear later.

const PLAYER_PATIENCE = 10_000, LOOK_EVERY = 100; // milliseconds

function player(key, then, until = performance.now() + PLAYER_PATIENCE) {
  const found = document.querySelector(`.st-key-${key} video`);
  if (found) then(found);
  else if (performance.now() < until) setTimeout(player, LOOK_EVERY, key, then, until);
}

export default function scrub({ parentElement, data }) {
  const root = parentElement.querySelector(".scrub");
  if (root.shown === data.html) return undefined; // the script ran again, with the same video
  root.shown = data.html;
  root.innerHTML = data.html; // made by the server, with its texts escaped
  const scrubber = new Scrubber(root, data);
  player(data.player, (video) => scrubber.attach(new Media(video, [[0, 0, Infinity]])));
  return undefined;
}
