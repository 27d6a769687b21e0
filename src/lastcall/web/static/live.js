// @ts-check
// Open pages stay true. One stream a browser, held by one of its tabs, says that something has changed; each tab
// then asks for its own page anew and takes from it what is marked `data-live`. When the session ends, all leave.

/** @param {Document} page */
const main = (page) => /** @type {HTMLElement} */ (page.getElementById("main"));

const { base = "", session = "", recorded = "0" } = main(document).dataset;
const name = `lastcall ${base} ${session}`;
const watching = `${name} services`;
const address = `${base}/live`;

const stale = /** @type {HTMLElement} */ (document.getElementById("stale"));

/** @typedef {{ type: "hello", known: number, mark?: string } | { type: "changed", number: number, scopes: string[] }
 *  | { type: "services", mark: string } | { type: "ended" }} Message */

let known = Number(recorded); // the newest record that this page can show
let heard = known; // the newest one that the stream has told of
/** @type {string | undefined} */
let mark = main(document).dataset.services; // of the services that this page shows, if it does
let asked = 0; // when this page was last asked for anew
let timer = 0;
let wanted = false; // it is to be asked for once somebody looks
let back = false; // somebody has just come back to this tab
let sending = false; // a form is on its way, and leads to a page of its own

/** @returns {HTMLElement[]} */
const parts = () => [...document.querySelectorAll("[data-live]")].map((part) => /** @type {HTMLElement} */ (part));

/** @param {Message} message */
function hear(message) {
  if (message.type === "ended") return leave();
  if (message.type === "services" && mark !== undefined && message.mark !== mark) return want();
  if (message.type !== "changed") return;
  heard = Math.max(heard, message.number);
  if (message.number > known && parts().some((part) => message.scopes.includes(part.dataset.live ?? ""))) want();
}

function leave() {
  // The answer to a form is not cut off: it may be the one that says good-bye.
  if (sending) return void setTimeout(leave, 1000);
  location.replace(location.pathname + location.search); // which leads to where it is said why
}

/** Asks for the page soon: at once, but not twice a second, not behind a dialog, and not while nobody looks. */
function want() {
  wanted = true;
  if (timer || document.hidden || asking()) return;
  timer = setTimeout(renew, Math.max(0, asked + 1000 - Date.now()));
}

/** Whether a question is open, which must not go under its reader's hands. */
const asking = () => document.querySelector("dialog[open]") !== null;

async function renew() {
  const present = back;
  asked = Date.now();
  wanted = back = false;
  try {
    const response = await fetch(location.href, { redirect: "manual", headers: { accept: "text/html" } });
    const text = await response.text();
    if (response.ok && asking()) wanted = true; // it was opened meanwhile
    else if (response.ok) take(new DOMParser().parseFromString(text, "text/html"));
    // It leads elsewhere: the access token has run out. To get a new one is for somebody who is there.
    else if (response.type === "opaqueredirect" && !present) stale.hidden = false;
    else if (response.status < 500) location.reload(); // also where it is no longer for this reader: it says why
    else wanted = true;
  } catch {
    wanted = true; // not reached
  }
  timer = 0;
  if (wanted) setTimeout(want, 5000);
}

/** @param {Document} fresh the page as it is now */
function take(fresh) {
  known = Math.max(known, Number(main(fresh).dataset.recorded));
  mark = main(fresh).dataset.services;
  for (const part of parts()) {
    const next = fresh.getElementById(part.id);
    if (!next) continue;
    const focus = part.contains(document.activeElement) ? like(document.activeElement) : "";
    part.replaceWith(document.importNode(next, true));
    if (focus) /** @type {HTMLElement} */ (document.querySelector(focus) ?? main(document)).focus();
  }
  document.dispatchEvent(new Event("lastcall:changed"));
  const news = /** @type {HTMLElement} */ (document.getElementById("news"));
  news.textContent = "";
  setTimeout(() => { news.textContent = news.dataset.text ?? ""; }, 100); // or it would be read only the first time
}

/**
 * @param {Element | null} element one that has the focus
 * @returns {string} a selector of the one in its place
 */
function like(element) {
  const href = element?.getAttribute("href");
  return element?.id ? `#${CSS.escape(element.id)}` : href ? `a[href="${CSS.escape(href)}"]` : "#main";
}

/** Follows an ending that is not confirmed yet, and then shows what has come of it. It gives up: the link stays. */
async function confirm() {
  const result = document.getElementById("result");
  const id = /** @type {HTMLElement | null} */ (result?.querySelector("[data-confirming]"))?.dataset.confirming;
  if (!result || !id) return;
  for (let tries = 0, patience = 1000; tries < 20; tries++) {
    try {
      const told = await fetch(`${base}/api/v1/terminations/${encodeURIComponent(id)}?wait=5`);
      if (told.status >= 400 && told.status < 500 && told.status !== 429) return;
      if (told.ok && (await told.json()).state === "confirmed") {
        const response = await fetch(location.href, { redirect: "manual", headers: { accept: "text/html" } });
        const fresh = response.ok && new DOMParser().parseFromString(await response.text(), "text/html");
        const next = fresh && fresh.getElementById("result");
        if (next && !next.querySelector("[data-confirming]")) {
          const focused = result.contains(document.activeElement);
          result.replaceChildren(...[...next.childNodes].map((node) => document.importNode(node, true)));
          if (focused) /** @type {HTMLElement | null} */ (result.querySelector(".notice"))?.focus();
          return;
        }
      }
    } catch { /* not reached */ }
    await new Promise((resolve) => { setTimeout(resolve, patience * (0.5 + Math.random())); });
    patience = Math.min(2 * patience, 10_000);
  }
}
confirm();

const channel = new BroadcastChannel(name);
channel.addEventListener("message", ({ data }) => hear(data));

/** Whether a tab of this browser shows services: each such tab holds a lock, which goes with it. */
const watched = async () => ((await navigator.locks.query()).held ?? []).some((lock) => lock.name === watching);

/** Holds the stream for all tabs, until this one is closed. */
async function lead() {
  let patience = 1000;
  let following = false; // the stream tells of services, too
  let told = ""; // the mark that it has told
  /** @type {EventSource | undefined} */
  let stream;
  /** @type {Map<string, number>} */
  const latest = new Map();

  /** @param {Message} message */
  function tell(message) {
    channel.postMessage(message);
    hear(message);
  }

  channel.addEventListener("message", ({ data }) => {
    if (data.type !== "hello") return;
    // A tab that was loading while others were told.
    for (const [scope, number] of latest) {
      if (number > data.known) channel.postMessage({ type: "changed", number, scopes: [scope] });
    }
    if (data.mark === undefined) return;
    if (told) channel.postMessage({ type: "services", mark: told });
    if (following) return;
    following = true;
    if (!stream || stream.readyState === EventSource.CLOSED) return; // the next one will tell
    stream.close();
    open();
  });

  /** Opens the next stream as it is needed now. A tab that says hello meanwhile needs it, too. */
  async function reopen() {
    following = false;
    if (await watched()) following = true;
    if (!following) told = "";
    open();
  }

  function open() {
    const services = following ? `&services=${encodeURIComponent(told)}` : "";
    const opened = stream = new EventSource(`${address}?after=${heard}${services}`);
    opened.addEventListener("open", () => { patience = 1000; });
    opened.addEventListener("changed", (event) => {
      const number = Number(event.lastEventId);
      const scopes = event.data.split(" ");
      for (const scope of scopes) latest.set(scope, number);
      tell({ type: "changed", number, scopes });
    });
    opened.addEventListener("services", (event) => {
      told = event.data;
      tell({ type: "services", mark: told });
    });
    opened.addEventListener("ended", () => {
      opened.close();
      tell({ type: "ended" });
    });
    opened.addEventListener("again", () => {
      opened.close();
      reopen();
    });
    opened.addEventListener("error", async () => {
      opened.close();
      const answer = await fetch(address, { method: "HEAD" }).catch(() => null);
      if (answer?.status === 401) return tell({ type: "ended" });
      setTimeout(reopen, patience * (0.5 + Math.random()));
      patience = Math.min(2 * patience, 30_000);
    });
  }

  await reopen();
  return new Promise(() => {}); // the lock is given back with the tab
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  if (!stale.hidden) return location.reload();
  back = wanted;
  if (wanted) want();
});
document.addEventListener("close", () => { if (wanted) want(); }, true); // of a dialog
document.addEventListener("lastcall:passed", want); // a moment that the page shows has passed
addEventListener("submit", (event) => {
  const method = event.submitter?.getAttribute("formmethod");
  sending = !event.defaultPrevented && method !== "dialog";
  setTimeout(() => { sending = false; }, 10_000);
});

// Without Web Locks, as on plain http, tabs would each hold a connection of the six: there pages are as they were.
if (navigator.locks) {
  const greet = () => channel.postMessage({ type: "hello", known, mark });
  if (mark === undefined) greet();
  else navigator.locks.request(watching, { mode: "shared" }, () => { greet(); return new Promise(() => {}); });
  navigator.locks.request(name, lead);
}
