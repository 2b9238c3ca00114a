// Try: what the model says of a photograph that is not of the folder.
import { $, make, photo, percent, complain } from "/app.js";

export class Try {
  constructor() {
    $("file-try").onchange = e => this.take(e.target.files[0]);
    addEventListener("dragover", e => e.preventDefault());
    addEventListener("drop", e => {
      e.preventDefault(); // or the browser would leave the page
      if (!$("view-try").hidden) this.take(e.dataTransfer.files[0]);
    });
    addEventListener("paste", e => { if (!$("view-try").hidden) this.take(e.clipboardData.files[0]); });
  }

  show() {}

  async take(file) {
    if (!file) return;
    try {
      const answer = await fetch("/api/try", { method: "POST", body: file,
        headers: { "Content-Type": "application/octet-stream" } });
      const said = JSON.parse(await answer.text());
      if (!answer.ok) throw new Error(said.error);
      complain(null);
      if (this.address) URL.revokeObjectURL(this.address);
      this.address = URL.createObjectURL(file);
      $("try-image").src = this.address;
      $("try-guess").replaceChildren(...said.guess.slice(0, 10).map(g => {
        const bar = make("i");
        bar.style.width = 100 * g.p + "%";
        return make("li", {}, make("span", {}, g.class), make("span", {}, percent(g.p)), bar);
      }));
      $("try-near").replaceChildren(...said.nearest.map(n => make("figure", {},
        make("img", { src: photo(n.id), alt: n.path }), make("figcaption", {}, n.label + " · " + n.cosine.toFixed(2)))));
      $("tried").hidden = false;
    } catch (e) { complain(e); }
  }
}
