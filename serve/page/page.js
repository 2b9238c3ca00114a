"use strict";
// Everything that comes from the server or from a file is set as text, never as HTML.
const by = id => document.getElementById(id);
const most = 20; // classes that are drawn

// make builds an element of a class with a text, or with elements in it.
function make(name, className, ...content) {
	const e = document.createElement(name);
	if (className) e.className = className;
	e.append(...content);
	return e;
}

const percent = p => (100 * p).toFixed(p > 0 && p < 0.001 ? 3 : 1) + " %";

let asked = 0; // the last photograph: answers of those before it are not shown

async function ask(photo) {
	const number = ++asked, answer = by("answer");
	answer.replaceChildren(make("p", "quiet", "Predicting …"));
	answer.setAttribute("aria-busy", "true");
	let content;
	try {
		const reply = await fetch("predict", {method: "POST", body: photo, headers: {"Content-Type": "application/octet-stream"}});
		const text = await reply.text();
		let said;
		try { said = JSON.parse(text); } catch { said = {error: text}; }
		content = reply.ok ? shown(said) : refused(reply, said);
	} catch {
		content = [make("p", "error", "The server does not answer. Is it still running?")];
	}
	if (number !== asked) return;
	answer.replaceChildren(...content);
	answer.removeAttribute("aria-busy");
}

function refused(reply, said) {
	const advice = reply.status === 401 ? " Open the page again with ?token=TOKEN behind its address."
		: reply.status === 429 || reply.status === 503 ? " Try again in a moment." : "";
	return [make("p", "error", (said.error || "The server answered " + reply.status + ".") + advice)];
}

function shown(said) {
	const all = Object.entries(said.probabilities).sort((a, b) => b[1] - a[1]);
	const rows = make("tbody", "");
	for (const [name, p] of all.slice(0, most)) {
		const bar = make("div", "bar"), head = make("th", "", name);
		bar.style.width = 100 * p + "%";
		head.scope = "row";
		rows.append(make("tr", "", head, make("td", "", bar), make("td", "", percent(p))));
	}
	const left = all.length > most ? `The ${most} most probable of ${all.length} classes` : "Probability of each class";
	const facts = make("dl", "");
	const fact = (name, value, kind) => facts.append(make("dt", "", name), make("dd", kind || "", value));
	if (said.set) {
		fact(`Prediction set, ${100 * said.coverage} %`,
			said.set.length ? said.set.join(", ") : "empty: no class is probable enough");
	}
	if (said.oddness !== undefined) {
		const odd = said.oddness > 1;
		fact("Oddness", said.oddness.toFixed(2) + (odd ? ": unlike the training photographs" : ": like the training photographs"),
			odd ? "odd" : "");
	}
	const first = said.labels ? said.labels.join(", ") : said.predicted;
	return [make("p", "first", first), make("table", "", make("caption", "", left), rows), facts];
}

let preview = "";

function show(photo, name) {
	const picture = by("picture");
	URL.revokeObjectURL(preview);
	preview = URL.createObjectURL(photo);
	picture.onerror = () => {
		picture.hidden = true;
		by("hint").hidden = false;
		by("hint").textContent = name + ": this browser cannot draw it. Choose, drop or paste another one.";
	};
	picture.src = preview;
	picture.alt = name;
	picture.hidden = false;
	by("hint").hidden = true;
	ask(photo);
}

const take = list => {
	const photo = [...list].find(f => f.size >= 0);
	if (photo) { endCamera(); show(photo, photo.name || "The pasted photograph"); }
};

by("file").addEventListener("change", e => { take(e.target.files); e.target.value = ""; });
addEventListener("paste", e => take(e.clipboardData.files));
addEventListener("dragover", e => { e.preventDefault(); by("drop").classList.add("over"); });
addEventListener("dragleave", () => by("drop").classList.remove("over"));
addEventListener("drop", e => { e.preventDefault(); by("drop").classList.remove("over"); take(e.dataTransfer.files); });

// The camera: browsers give it to pages of this machine and of TLS alone.
const devices = navigator.mediaDevices, video = by("video");
let stream = null;

function watching(on) {
	by("camera").hidden = on || !devices;
	by("shoot").hidden = by("stop").hidden = video.hidden = !on;
	if (on) { by("picture").hidden = true; by("hint").hidden = true; }
	else if (by("picture").hidden) by("hint").hidden = false;
}

function endCamera() {
	stream?.getTracks().forEach(t => t.stop());
	stream = video.srcObject = null;
	watching(false);
}

by("camera").addEventListener("click", async () => {
	try {
		stream = await devices.getUserMedia({video: {facingMode: "environment"}});
	} catch (e) {
		by("answer").replaceChildren(make("p", "error", "There is no camera, or it is not allowed: " + e.message));
		return;
	}
	video.srcObject = stream;
	watching(true);
	await video.play();
	by("shoot").focus();
});
by("stop").addEventListener("click", () => { endCamera(); by("camera").focus(); });
by("shoot").addEventListener("click", () => {
	const canvas = document.createElement("canvas");
	canvas.width = video.videoWidth;
	canvas.height = video.videoHeight;
	canvas.getContext("2d").drawImage(video, 0, 0);
	canvas.toBlob(photo => { endCamera(); show(photo, "The camera's photograph"); by("camera").focus(); }, "image/jpeg", 0.95);
});
watching(false);
