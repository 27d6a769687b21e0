// lastcall.js: a fetch that goes on past the hour, for applications that share lastcall's origin.
// No dependencies. Apache License 2.0.
//
//   import { fetch, onSignedOut, signOut } from "/auth/lastcall.js";

const LOCK = "lastcall-renew";
/** When a tab has last renewed the tokens, in localStorage. */
const RENEWED = "lastcall-renewed-at";
const channel = new BroadcastChannel("lastcall");
let base = new URL(".", import.meta.url).pathname.replace(/\/$/, "");

/**
 * @typedef {object} SignedOut
 * @property {string | null} reason An end reason of the HTTP API, null where it is not known.
 * @property {string | null} endedAt RFC 3339, in UTC.
 */

/** @type {Set<(told: SignedOut) => void>} */
const listeners = new Set();

/**
 * Say where lastcall stands on this origin, for a copy of this file that it doesn't serve itself.
 * @param {string} path "" or, say, "/auth"
 */
export function configure(path) {
  base = path.replace(/\/$/, "");
}

/**
 * Be told when this browser's session has ended, whichever tab finds out.
 * @param {(told: SignedOut) => void} listener
 * @returns {() => void} stops it
 */
export function onSignedOut(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/**
 * As the browser's own. Where the access token has run out, it is renewed, once for all tabs, and
 * the request is sent once more.
 * @param {RequestInfo | URL} input
 * @param {RequestInit} [init]
 * @returns {Promise<Response>}
 */
export async function fetch(input, init) {
  const request = new Request(input, init);
  const own = new URL(request.url).origin === location.origin;
  if (!own || request.headers.has("authorization")) return globalThis.fetch(request);
  const again = request.clone();
  const began = Date.now();
  const response = await globalThis.fetch(request);
  const { code } = await noticed(response);
  if (code !== "token_expired" || !(await renew(began))) return response;
  const second = await globalThis.fetch(again);
  await noticed(second);
  return second;
}

/** End this browser's session, and tell all tabs. */
export async function signOut() {
  const response = await globalThis.fetch(`${base}/api/v1/sign-out`, { method: "POST" });
  if (!response.ok) throw new Error(`lastcall answered ${response.status}`);
  announce({ reason: "signed_out", endedAt: null });
}

/**
 * @param {number} since when the request that was refused began
 * @returns {Promise<boolean>} whether there is a new token
 */
async function renew(since) {
  const once = async () => {
    if (Number(localStorage.getItem(RENEWED)) > since) return true; // another tab was faster
    const response = await globalThis.fetch(`${base}/api/v1/refresh`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: "{}",
    });
    if (response.ok) localStorage.setItem(RENEWED, String(Date.now()));
    else await noticed(response);
    return response.ok;
  };
  // Without Web Locks (plain http) tabs may renew at once: the server gives all the same token.
  return navigator.locks ? navigator.locks.request(LOCK, once) : once();
}

/**
 * Read what is wrong, and tell all tabs where it is the end of the session.
 * @param {Response} response
 * @returns {Promise<{code?: string, reason?: string, ended_at?: string}>}
 */
async function noticed(response) {
  const type = response.headers.get("content-type") ?? "";
  if (response.status !== 401 || !type.startsWith("application/problem+json")) return {};
  const problem = await response.clone().json();
  if (problem.code === "session_ended")
    announce({ reason: problem.reason ?? null, endedAt: problem.ended_at ?? null });
  return problem;
}

/** @param {SignedOut} told */
function announce(told) {
  channel.postMessage(told);
  listeners.forEach((listener) => listener(told));
}

channel.onmessage = ({ data }) => listeners.forEach((listener) => listener(data));
