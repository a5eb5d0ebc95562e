// Uploads files: a list of recipients as the request body, with a progress bar, and the fallback image.

for (const form of document.querySelectorAll("form[data-upload]")) {
  const kinds = JSON.parse(document.getElementById("kinds").textContent);
  const notice = document.getElementById("notice"), bar = form.querySelector("progress");
  const button = form.querySelector("button[type=submit]");

  function tell(html) {
    notice.innerHTML = html;
    notice.scrollIntoView({ block: "nearest" });
  }

  function finish(request) {
    button.removeAttribute("aria-busy");
    bar.hidden = true;
    if (request.status === 200) location.assign(JSON.parse(request.responseText).url);
    else if (request.getResponseHeader("HX-Redirect")) location.assign(request.getResponseHeader("HX-Redirect"));
    else tell(request.responseText || "<p class='notice notice-bad' role='alert'>The upload failed. Try again.</p>");
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const [file] = form.elements.file.files, pasted = form.elements.rows.value;
    if (!file && !pasted.trim()) return form.elements.file.focus();
    const ending = file ? file.name.split(".").pop().toLowerCase() : "csv";
    const request = new XMLHttpRequest();
    const given = new FormData(form);
    const query = new URLSearchParams({ mode: given.get("mode") ?? "replace", id_column: given.get("id_column") ?? "" });
    request.open("POST", `${form.dataset.upload}?${query}`);
    request.setRequestHeader("X-CSRF-Token", form.dataset.token);
    request.setRequestHeader("HX-Request", "true");
    const kind = kinds[ending] ?? "text/csv", charset = file ? given.get("charset") : "utf-8"; // what is pasted is sent as UTF-8
    request.setRequestHeader("Content-Type", charset ? `${kind}; charset=${charset}` : kind);
    request.upload.addEventListener("progress", (sent) => { if (sent.lengthComputable) bar.value = sent.loaded / sent.total; });
    request.addEventListener("loadend", () => finish(request));
    button.setAttribute("aria-busy", "true");
    bar.hidden = false;
    request.send(file ?? pasted);
  });
}

for (const input of document.querySelectorAll("input[data-picture]")) {
  const note = input.parentElement.querySelector("small");
  input.addEventListener("change", async () => {
    const [file] = input.files;
    if (!file) return;
    const body = new FormData();
    body.append("file", file, "picture.png");
    const headers = { "X-CSRF-Token": input.dataset.token, Accept: "application/json" };
    const answer = await fetch(input.dataset.picture, { method: "POST", body, headers });
    if (answer.ok) document.getElementById(input.dataset.into).value = (await answer.json()).id;
    note.textContent = answer.ok ? "Image uploaded." : "The image could not be read. Use a PNG, JPEG, WebP, HEIC or AVIF file.";
  });
}
