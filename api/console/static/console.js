// What a page shows stays true: when something has changed the same page is fetched again, and its parts that
// are marked data-live take the place of those on the screen. Without this the page is whole, and as of its time.
"use strict";

const EVERY_MS = 1000;
let waiting = false;

async function renew() {
  if (waiting || document.hidden) return;
  waiting = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const now of document.querySelectorAll("[data-live]")) {
      const next = page.getElementById(now.id);
      if (next && next.innerHTML !== now.innerHTML && !now.contains(document.activeElement)) {
        now.innerHTML = next.innerHTML;
      }
    }
  } catch {
    // The API is away: the page keeps what it has, and the next change tries again.
  } finally {
    setTimeout(() => { waiting = false; }, EVERY_MS);
  }
}

function offerCopies() {
  for (const block of document.querySelectorAll("[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(block.textContent.trim());
      button.textContent = "Copied";
    });
    block.before(button);
  }
}

// A page that nobody sees does not listen: a browser has six connections for all its pages of one address.
let live = null;

function listen() {
  if (document.hidden) {
    live?.close();
    live = null;
  } else if (!live) {
    live = new EventSource("/console/live"); // its first word comes at once, so the page is fetched again
    live.addEventListener("changed", renew);
  }
}

offerCopies();
if (document.querySelector("[data-live]:not(#fresh)")) {
  listen();
  document.addEventListener("visibilitychange", listen);
}
