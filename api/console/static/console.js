// Behaviour shared by all pages: local times, live fragments, copy buttons and confirmations.

const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const SLOWEST_SECONDS = 10;

// --- times -----------------------------------------------------------------------------------------------------------

const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const near = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });

function tellAgo(moment) {
  const past = moment - Date.now(), span = Math.abs(past);
  if (span < MINUTE) return relative.format(Math.round(past / SECOND), "second");
  if (span < HOUR) return relative.format(Math.round(past / MINUTE), "minute");
  if (span < DAY) return relative.format(Math.round(past / HOUR), "hour");
  return near.format(moment);
}

function showTimes() {
  for (const element of document.querySelectorAll("time[datetime]")) {
    const moment = new Date(element.dateTime);
    const style = element.dataset.show;
    const text = style === "ago" ? tellAgo(moment) : style === "clock" ? clock.format(moment) : near.format(moment);
    if (element.textContent !== text) element.textContent = text;
    element.title = whole.format(moment);
  }
}

showTimes();
setInterval(showTimes, 10 * SECOND);
document.addEventListener("htmx:after:swap", showTimes);

// --- live fragments --------------------------------------------------------------------------------------------------
// An element with data-live=SECONDS is reloaded at that interval, less often while nothing changes, and not at all
// while the page is hidden.

const seen = new WeakMap();
let outage = null;

function tellOutage(answer) {
  if (!outage?.isConnected) outage = showFault(answer);
}

function wait(element, seconds) {
  setTimeout(() => {
    if (!element.isConnected) return;
    if (document.hidden) {
      document.addEventListener("visibilitychange", () => element.dispatchEvent(new Event("tick")), { once: true });
    } else {
      element.dispatchEvent(new Event("tick"));
    }
  }, seconds * SECOND);
}

function follow(root) {
  for (const element of root.querySelectorAll("[data-live]")) {
    if (!seen.has(element) && !element.querySelector("[data-live-end]")) {
      const seconds = Number(element.dataset.live);
      seen.set(element, { tag: null, seconds });
      wait(element, seconds);
    }
  }
}

document.addEventListener("htmx:after:request", (event) => {
  const { sourceElement: element, response } = event.detail.ctx;
  const state = seen.get(element);
  if (response.status >= 400 && !response.headers.get("HX-Retarget") && !response.headers.get("HX-Redirect")) {
    // The page of a proxy, for example, which must not take the place of the fragment.
    event.preventDefault();
    tellOutage(readAnswer(response.status, ""));
    return;
  }
  outage?.remove();
  if (!state) return;
  const tag = response.headers.get("ETag"), first = Number(element.dataset.live);
  const isOld = response.status === 304 || (tag && tag === state.tag);
  state.tag = tag;
  state.seconds = isOld ? Math.min(Math.max(first, SLOWEST_SECONDS), state.seconds * 1.3) : first;
  if (isOld) event.preventDefault();
});

document.addEventListener("htmx:error", () => tellOutage(readAnswer(0, "")));

document.addEventListener("htmx:finally:request", (event) => {
  const element = event.detail.ctx.sourceElement;
  const state = seen.get(element);
  if (state && !element.querySelector("[data-live-end]")) wait(element, state.seconds);
});

document.addEventListener("htmx:after:swap", () => follow(document));
follow(document);

// --- helpers ---------------------------------------------------------------------------------------------------------

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(source);
    button.textContent = "Selected: press Ctrl+C";
  }
});

document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.confirm ?? event.target.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-check-all]")) {
    for (const box of event.target.form.querySelectorAll("input[type=checkbox][name]")) {
      box.checked = event.target.checked;
    }
  }
  if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
});

// On a phone the sections are a horizontal strip; scroll the current one into view.
for (const strip of document.querySelectorAll(".masthead nav, .steps ol")) {
  const open = strip.querySelector("[aria-current]");
  if (open) strip.scrollLeft = open.offsetLeft - strip.offsetLeft - (strip.clientWidth - open.offsetWidth) / 2;
}
