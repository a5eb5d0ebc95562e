// Uploads files: a list of recipients as the request body, with a progress bar, and the fallback image.

for (const form of document.querySelectorAll("form[data-upload]")) {
  const kinds = JSON.parse(document.getElementById("kinds").textContent);
  const bar = form.querySelector("progress");
  const button = form.querySelector("button[type=submit]");

  function finish(request) {
    button.removeAttribute("aria-busy");
    bar.hidden = true;
    const answer = readAnswer(request.status, request.responseText);
    if (answer.body) location.assign(answer.body.url);
    else showFault(answer);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const [file] = form.elements.file.files, pasted = form.elements.rows.value;
    if (!file && !pasted.trim()) {
      showFault({ fault: "Nothing was chosen. Choose a file, or paste rows.", details: [] });
      return form.elements.file.focus();
    }
    const ending = file ? file.name.split(".").pop().toLowerCase() : "csv";
    const request = new XMLHttpRequest();
    const given = new FormData(form);
    const query = new URLSearchParams({ mode: given.get("mode") ?? "replace", id_column: given.get("id_column") ?? "" });
    request.open("POST", `${form.dataset.upload}?${query}`);
    request.setRequestHeader("X-CSRF-Token", form.dataset.token);
    request.setRequestHeader("Accept", "application/json");
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
    const answer = await sendFile(input.dataset.picture, input.dataset.token, file);
    if (answer.body) document.getElementById(input.dataset.into).value = answer.body.id;
    note.textContent = answer.body ? "Image uploaded." : spellFault(answer);
  });
}
