// @ts-check
// What the pages gain with JavaScript; without it they are plain links and forms.

const page = document.documentElement;
// The reader's own kind of the page's language (en-GB, en-US), so that dates read as at home.
const locale = navigator.languages.find((tag) => tag.split("-")[0] === page.lang) ?? page.lang;
const relative = new Intl.RelativeTimeFormat(locale);
const now = new Intl.RelativeTimeFormat(locale, { numeric: "auto" }).format(0, "second");
const absolute = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
const clock = new Intl.DateTimeFormat(locale, { timeStyle: "medium" });
const exact = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "long" });

/** @type {[Intl.RelativeTimeFormatUnit, number][]} Largest first, in seconds. */
const units = [["year", 31_557_600], ["month", 2_629_800], ["day", 86_400], ["hour", 3_600], ["minute", 60]];

/**
 * The distance in its largest whole unit, cut off and never rounded up: "in 14 minutes" is at least that.
 * @param {number} seconds from now; negative is the past
 * @returns {string}
 */
function tell(seconds) {
  for (const [unit, length] of units) {
    if (Math.abs(seconds) >= length) return relative.format(Math.trunc(seconds / length), unit);
  }
  return seconds >= 1 ? relative.format(Math.trunc(seconds), "second") : now;
}

const passed = new Set();

/**
 * Makes one time true for now and for here.
 * @param {HTMLTimeElement} element
 */
function update(element) {
  const at = new Date(element.dateTime);
  let away = (at.getTime() - Date.now()) / 1000;
  // A clock that is off must not make the past the future, nor the other way round.
  away = element.dataset.time === "ago" ? Math.min(away, 0) : Math.max(away, 0);
  const text = element.dataset.time === "at" ? absolute.format(at)
    : element.dataset.time === "clock" ? clock.format(at) : tell(away);
  if (element.textContent !== text) element.textContent = text;
  const title = exact.format(at);
  if (element.title !== title) element.title = title;
  // Once for each moment: by a clock that is ahead, the page will show it for a while yet.
  if (element.dataset.time === "until" && away === 0 && !passed.has(element.dateTime)) {
    passed.add(element.dateTime);
    document.dispatchEvent(new Event("lastcall:passed"));
  }
}

function tick() {
  /** @type {NodeListOf<HTMLTimeElement>} */ (document.querySelectorAll("time[data-time]")).forEach(update);
}

/** @param {Node | null} inside the open menus that hold this stay open */
function closeMenus(inside) {
  /** @type {NodeListOf<HTMLDetailsElement>} */ (document.querySelectorAll("details[data-menu][open]"))
    .forEach((menu) => {
      if (inside && menu.contains(inside)) return;
      const focused = menu.contains(document.activeElement);
      menu.open = false;
      if (focused) menu.querySelector("summary")?.focus();
    });
}

document.addEventListener("click", (event) => {
  const target = /** @type {Element} */ (event.target);
  closeMenus(target);
  if (target instanceof HTMLDialogElement) target.close(); // the backdrop
  const link = /** @type {HTMLElement | null} */ (target.closest("a[data-dialog]"));
  const dialog = link && document.getElementById(link.dataset.dialog ?? "");
  // With a modifier the link opens its page in a tab, as links do.
  if (dialog instanceof HTMLDialogElement && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey)) {
    event.preventDefault();
    dialog.showModal();
    // Browsers see to this themselves, but not always.
    dialog.addEventListener("close", () => {
      if (document.activeElement === document.body) link.focus();
    }, { once: true });
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  closeMenus(null);
  page.toggleAttribute("data-tips-off", true);
});
for (const type of ["focusin", "pointerover"]) {
  document.addEventListener(type, () => page.toggleAttribute("data-tips-off", false));
}

/** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("[data-reveal]")).forEach((button) => {
  const input = /** @type {HTMLInputElement} */ (document.getElementById(button.dataset.reveal ?? ""));
  /** @param {boolean} shown */
  const show = (shown) => {
    input.type = shown ? "text" : "password";
    [!shown, shown].forEach((visible, i) => button.children[i]?.toggleAttribute("hidden", !visible));
  };
  button.hidden = false;
  button.addEventListener("click", () => show(input.type === "password"));
  input.form?.addEventListener("submit", () => show(false)); // or browsers keep it as text
});

/** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("[data-copy]")).forEach((button) => {
  const input = /** @type {HTMLInputElement} */ (document.getElementById(button.dataset.copy ?? ""));
  button.hidden = false;
  button.addEventListener("click", async () => {
    input.select();
    await navigator.clipboard.writeText(input.value).catch(() => document.execCommand("copy"));
    button.textContent = button.dataset.copied ?? "";
  });
});

tick();
setInterval(tick, 1000);
document.addEventListener("lastcall:changed", tick);
