// Files and whole folders from this computer: chosen or dropped, sent in parts, each of which is tried
// again where it breaks off. Without this script the form sends chosen files in one request.

import { sayFailed } from "./requests.js";
import { send } from "./sending.js";

const form = document.querySelector("form[data-upload]");
const said = document.getElementById("upload-said");
const bar = document.getElementById("upload-progress");
const button = form.querySelector("button[type=submit]");
const limit = Number(form.dataset.limitMb) * 1048576;

const PART = { files: 200, bytes: 32 * 1048576 };
const TRIES = 3;
const HIDDEN = /^(\.|__macosx$|thumbs\.db$|desktop\.ini$|ehthumbs\.db$)/i;

// What is to be sent, as { file, name } with the name's folders, and how far that is.
let chosen = [];
let upload = null;

const size = (bytes) =>
  bytes < 1048576 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 1048576).toFixed(bytes < 10485760 ? 1 : 0)} MiB`;
const many = (number) => `${number.toLocaleString("en")} file${number === 1 ? "" : "s"}`;
const weight = (some) => some.reduce((sum, { file }) => sum + file.size, 0);
const isSeen = (name) => !name.split("/").some((part) => HIDDEN.test(part));

// As people number their files: page 2 before page 10.
const order = new Intl.Collator("en", { numeric: true });

const tell = (words) => {
  said.textContent = words;
};

const choose = (files, skipped = 0) => {
  const seen = files.filter(({ name }) => isSeen(name));
  const hidden = skipped + files.length - seen.length;
  chosen = seen.sort((one, other) => order.compare(one.name, other.name));
  upload = null;
  const total = weight(chosen);
  const isTooLarge = total > limit;
  const more = [
    isTooLarge && `more than the ${size(limit)} that one upload may have`,
    hidden && `${many(hidden)} that ${hidden === 1 ? "is" : "are"} hidden left out`,
  ].filter(Boolean).join("; ");
  const empty = hidden || files.length ? "Nothing to import in there" : "";
  tell(chosen.length ? `${many(chosen.length)}, ${size(total)}${more ? `: ${more}` : ""}` : empty);
  button.disabled = isTooLarge;
};

const nameOf = (file) => (file.webkitRelativePath || file.name).normalize("NFC");
const filesOf = (list) => [...list].map((file) => ({ file, name: nameOf(file) }));

// Folders ---

const fileOf = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));
const someOf = (reader) => new Promise((resolve, reject) => reader.readEntries(resolve, reject));

// A folder gives its entries a hundred at a time, until it gives none.
const entriesOf = async (folder) => {
  const reader = folder.createReader();
  const all = [];
  for (let some = await someOf(reader); some.length; some = await someOf(reader)) all.push(...some);
  return all;
};

const walk = async (entries) => {
  const found = [];
  const unread = [];
  const waiting = [...entries];
  while (waiting.length) {
    const entry = waiting.pop();
    const name = entry.fullPath.replace(/^\//, "").normalize("NFC");
    if (!isSeen(name)) {
      unread.push({ name, isHidden: true });
      continue;
    }
    try {
      if (entry.isDirectory) waiting.push(...(await entriesOf(entry)));
      else found.push({ file: await fileOf(entry), name });
    } catch {
      unread.push({ name, isHidden: false });
    }
    if (found.length % 200 === 0) tell(`Looking: ${many(found.length)} so far`);
  }
  return { found, unread };
};

const drop = async (data) => {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) {
    choose(filesOf(data.files));
    return;
  }
  tell("Looking at what is there");
  button.disabled = true;
  const { found, unread } = await walk(entries);
  const lost = unread.filter(({ isHidden }) => !isHidden);
  choose(found, unread.length - lost.length);
  if (lost.length) tell(`${said.textContent}; ${many(lost.length)} cannot be read (${lost[0].name})`);
};

// Sending ---

const newToken = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

const partsOf = (files) => {
  const parts = [];
  for (const each of files) {
    const last = parts.at(-1);
    const isFull = !last || last.files.length === PART.files || last.bytes + each.file.size > PART.bytes;
    if (isFull) parts.push({ files: [each], bytes: each.file.size });
    else {
      last.files.push(each);
      last.bytes += each.file.size;
    }
  }
  return parts;
};

const pause = (seconds) => new Promise((resolve) => {
  setTimeout(resolve, seconds * 1000);
});

const patiently = async (address, body, onProgress) => {
  for (let turn = 1; ; turn += 1) {
    try {
      return await send(address, body(), { onProgress });
    } catch (failed) {
      if (turn === TRIES || !failed.isPassing || failed.isSignedOut) throw failed;
      tell(`${failed.message.replace(" Please try again.", "")} Trying again`);
      await pause(Math.min(failed.wait ?? 0.4 * turn, 30));
    }
  }
};

const bodyOf = (part) => {
  const body = new FormData();
  for (const { file, name } of part.files) body.append("files", file, name);
  return body;
};

const progress = (sent) => {
  const total = weight(chosen);
  bar.hidden = false;
  bar.value = total ? Math.min(sent / total, 1) : 1;
  tell(`${size(Math.min(sent, total))} of ${size(total)} sent`);
};

// Goes on with the part that broke off, where it is the same upload.
const sendAll = async () => {
  upload ??= { token: newToken(), parts: partsOf(chosen), next: 0 };
  const address = `${form.dataset.parts}/${upload.token}`;
  while (upload.next < upload.parts.length) {
    const part = upload.parts[upload.next];
    const before = upload.parts.slice(0, upload.next).reduce((sum, each) => sum + each.bytes, 0);
    await patiently(`${address}/${upload.next}`, () => bodyOf(part), (sent) => progress(before + Math.min(sent, part.bytes)));
    upload.next += 1;
  }
  tell("Sent; the import begins");
  const wishes = [...form.querySelectorAll(".wishes input:checked")].map((each) => `&${each.name}=true`).join("");
  location.assign(await patiently(`${address}?parts=${upload.parts.length}${wishes}`, () => new FormData()));
};

const leaveFailures = () => {
  for (const each of form.querySelectorAll(":scope > .failed")) each.remove();
};

const submit = async () => {
  leaveFailures();
  if (!chosen.length) {
    tell("Choose files or a folder first.");
    return;
  }
  button.disabled = true;
  try {
    await sendAll();
  } catch (failed) {
    const left = upload.next ? ` What was sent before is kept: ${upload.next} of ${upload.parts.length} parts.` : "";
    tell(`Not sent: the upload broke off.${left}`);
    sayFailed(failed, { form, isWrite: false });
  } finally {
    button.disabled = false;
    bar.hidden = true;
  }
};

for (const each of form.querySelectorAll("[data-needs-script]")) each.hidden = false;
const fields = [...form.querySelectorAll("input[type=file]")];
for (const field of fields) field.addEventListener("change", () => choose(filesOf(field.files)));
// People choose before this script is there, and browsers put a choice back when a page is loaded again.
const before = fields.flatMap((field) => filesOf(field.files));
if (before.length) choose(before);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
const place = form.querySelector(".drop");
for (const name of ["dragenter", "dragover"]) {
  place.addEventListener(name, (event) => {
    event.preventDefault();
    place.classList.add("is-over");
  });
}
for (const name of ["dragleave", "drop"]) place.addEventListener(name, () => place.classList.remove("is-over"));
place.addEventListener("drop", (event) => {
  event.preventDefault();
  drop(event.dataTransfer);
});
