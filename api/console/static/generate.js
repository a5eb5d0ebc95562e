// The Generate form: applies each model's limits, uploads a source image and lets the reader paint a mask.

const given = JSON.parse(document.getElementById("cards")?.textContent ?? "null");

async function upload(blob) {
  const answer = await sendFile(given.pictures, given.token, blob);
  if (!answer.body) throw new Error(spellFault(answer));
  return answer.body;
}

document.addEventListener("alpine:init", () => {
  Alpine.data("generateForm", () => ({
    fields: { prompt: "", negative_prompt: "", seed: "", scheduler: "", output_format: "png", num_images: 1, style: "", strength: 0.8,
      init_image: "", mask_image: "", adapters: [], scales: {}, model: given.default, ...given.fields },
    start: given.start,
    mask: given.mask,
    brush: 40,
    isPainted: false,
    busy: false,
    fault: "",

    init() {
      this.$nextTick(() => this.prepare());
      this.$el.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.$el.requestSubmit();
      });
      for (const [name, usual] of Object.entries({ steps: this.card.default_steps,
        guidance_scale: this.card.default_guidance_scale, width: this.card.default_width,
        height: this.card.default_height })) this.fields[name] ??= usual;
    },

    get card() { return given.cards.find((card) => card.name === this.fields.model) ?? given.cards[0]; },
    get takesPicture() { return this.card.modes.includes("image") || this.card.modes.includes("inpaint"); },
    get takesMask() { return this.card.modes.includes("inpaint"); },

    adapt() {
      const card = this.card;
      Object.assign(this.fields, { width: card.default_width, height: card.default_height, steps: card.default_steps,
        guidance_scale: card.default_guidance_scale });
      if (!card.schedulers.includes(this.fields.scheduler)) this.fields.scheduler = "";
    },

    shape(width, height) {
      const { size_multiple: multiple, min_size: least, max_size: most } = this.card;
      const fit = (side) => Math.max(least, Math.min(most, Math.round(side / multiple) * multiple));
      this.fields.width = fit(width);
      this.fields.height = fit(height);
    },
    square() { this.shape(this.card.default_width, this.card.default_width); },
    portrait() { this.shape(this.card.default_width * 0.8, this.card.default_width * 1.2); },
    landscape() { this.shape(this.card.default_width * 1.2, this.card.default_width * 0.8); },

    async take(event) {
      const [file] = event.target.files;
      if (!file) return;
      this.fault = "";
      try {
        const kept = await upload(file);
        this.fields.init_image = kept.id;
        this.start = kept.url;
        this.wipe();
      } catch (error) {
        this.fault = error.message;
      }
    },
    leave() { this.fields.init_image = ""; this.start = null; this.wipe(); },

    // The mask: white where painted, black elsewhere, at the resolution of the source image.
    fit() {
      const picture = document.getElementById("start"), canvas = document.getElementById("mask");
      canvas.width = picture.naturalWidth;
      canvas.height = picture.naturalHeight;
      this.isPainted = false;
      if (this.mask) this.showMask(canvas, this.mask);
    },
    // Paints the mask of an earlier job, as transparent as it is dark.
    showMask(canvas, url) {
      const picture = new Image();
      picture.addEventListener("load", () => {
        const pen = canvas.getContext("2d");
        pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
        const pixels = pen.getImageData(0, 0, canvas.width, canvas.height), { data } = pixels;
        for (let place = 0; place < data.length; place += 4) {
          const light = (data[place] * 299 + data[place + 1] * 587 + data[place + 2] * 114) / 1000;
          data[place + 3] = (light * data[place + 3]) / 255;
          data[place] = data[place + 1] = data[place + 2] = 255;
        }
        pen.putImageData(pixels, 0, 0);
      });
      picture.src = url;
    },
    wipe() {
      const canvas = document.getElementById("mask");
      canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
      this.isPainted = false;
      this.fields.mask_image = "";
      this.mask = null;
    },
    prepare() {
      const canvas = document.getElementById("mask");
      let last = null;
      const place = (event) => {
        const box = canvas.getBoundingClientRect();
        return [((event.clientX - box.left) / box.width) * canvas.width,
          ((event.clientY - box.top) / box.height) * canvas.height];
      };
      const paint = (event) => {
        const pen = canvas.getContext("2d"), [x, y] = place(event);
        pen.strokeStyle = "white";
        pen.lineCap = "round";
        pen.lineWidth = (this.brush / canvas.getBoundingClientRect().width) * canvas.width;
        pen.beginPath();
        pen.moveTo(...(last ?? [x, y]));
        pen.lineTo(x, y);
        pen.stroke();
        last = [x, y];
        this.isPainted = true;
      };
      canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); last = null; paint(event); });
      canvas.addEventListener("pointermove", (event) => { if (canvas.hasPointerCapture(event.pointerId)) paint(event); });
    },
    async drawMask() {
      const painted = document.getElementById("mask"), mask = document.createElement("canvas");
      mask.width = painted.width;
      mask.height = painted.height;
      const pen = mask.getContext("2d");
      pen.fillRect(0, 0, mask.width, mask.height);
      pen.drawImage(painted, 0, 0);
      return new Promise((resolve) => { mask.toBlob(resolve, "image/png"); });
    },

    async send(event) {
      if (!this.isPainted || !this.fields.init_image || !this.takesMask) {
        this.busy = true;
        return;
      }
      event.preventDefault();
      this.busy = true;
      try {
        this.fields.mask_image = (await upload(await this.drawMask())).id;
        this.isPainted = false;
        await this.$nextTick();
        this.$root.submit();
      } catch (error) {
        this.fault = error.message;
        this.busy = false;
      }
    },
  }));
});
