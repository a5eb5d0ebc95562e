// Reads the answer to a script's request, whatever the service or a proxy before it has sent, and says what went wrong.

const UNREACHABLE = "The server could not be reached. Check your connection and try again.";
const UNAVAILABLE = "The service is not available right now. Try again in a moment.";
const SENTENCES = {
  0: UNREACHABLE,
  200: "The server sent an answer that this page cannot read. Reload the page; you may have to sign in again.",
  401: "Your session has ended. Reload the page and sign in again.",
  403: "The server refused the request. Reload the page and try again.",
  404: "What this page is about no longer exists. Reload the page.",
  408: "The file took too long to arrive. Try again.",
  413: "The file is too large.",
  429: "Too many requests were sent. Try again in a moment.",
  502: UNAVAILABLE, 503: UNAVAILABLE, 504: UNAVAILABLE,
};

// Returns the body of a successful answer in JSON; else the fault as a sentence, and a sentence for each of its details.
function readAnswer(status, text) {
  const body = parseObject(text), isGood = status >= 200 && status < 300;
  if (isGood && body) return { body, fault: "", details: [] };
  if (body?.title) return { body: null, ...tellProblem(body) };
  const usual = isGood ? SENTENCES[200] : `The server answered with the error ${status}. Reload the page and try again.`;
  return { body: null, fault: SENTENCES[status] ?? usual, details: [] };
}

function parseObject(text) {
  try {
    const found = JSON.parse(text);
    return typeof found === "object" ? found : null;
  } catch {
    return null;
  }
}

function tellProblem({ title, detail, errors = [] }) {
  const name = ({ pointer, parameter }) => (pointer ?? parameter ?? "").replaceAll(/[/_]/g, " ").trim();
  const details = errors.map((error) => `${name(error)} ${error.detail}`.trim());
  // The detail of a single fault begins with a pointer to the field, which the list of details has in plain words.
  return { fault: details.length || !detail ? `${title}.` : detail, details };
}

// Sends a file, and returns what readAnswer says of the answer.
async function sendFile(url, token, blob) {
  const body = new FormData();
  body.append("file", blob, "picture.png");
  try {
    const answer = await fetch(url, { method: "POST", body, headers: { "X-CSRF-Token": token, Accept: "application/json" } });
    return readAnswer(answer.status, await answer.text());
  } catch {
    return readAnswer(0, "");
  }
}

function spellFault({ fault, details }) {
  return [fault, ...details].join(" ");
}

// Shows what went wrong at the top of the page.
function showFault({ fault, details }) {
  const box = document.createElement("div"), first = document.createElement("p"), list = document.createElement("ul");
  box.className = "notice notice-bad";
  box.setAttribute("role", "alert");
  first.textContent = fault;
  list.className = "faults";
  for (const detail of details) list.appendChild(document.createElement("li")).textContent = detail;
  box.append(first, ...(details.length ? [list] : []));
  document.getElementById("notice").replaceChildren(box);
  box.scrollIntoView({ block: "nearest" });
  return box;
}
