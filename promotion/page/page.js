"use strict";
document.documentElement.classList.add("script");

const announcement = document.getElementById("announcement");

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const command = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(command.textContent);
    announcement.textContent = "Copied.";
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  } catch { // a file or an older browser: select it, so that Ctrl-C copies it
    getSelection().selectAllChildren(command);
    announcement.textContent = "Selected: copy it with Ctrl-C.";
  }
});

function summaries() {
  return [...document.querySelectorAll("[data-summary]")].map((each) => each.dataset.summary).join(". ");
}

// Replace only what has changed, so that a reader's place, open details and focus stay.
function show(html) {
  const before = summaries();
  const template = document.createElement("template");
  template.innerHTML = html; // from this page's own server, which escapes every value
  const main = document.getElementById("release");
  const opened = [...main.querySelectorAll("details[open]")].map((each) => each.id);
  for (const id of opened) template.content.getElementById(id)?.setAttribute("open", "");
  const now = [...main.querySelectorAll("section[id]")], next = [...template.content.querySelectorAll("section[id]")];
  if (now.map((each) => each.id).join() !== next.map((each) => each.id).join()) {
    main.replaceChildren(template.content);
  } else {
    const focused = document.activeElement?.id;
    for (const section of next) {
      const shown = document.getElementById(section.id);
      if (!shown.isEqualNode(section)) shown.replaceWith(section);
    }
    document.getElementById("taken").replaceWith(template.content.getElementById("taken"));
    if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus();
  }
  if (summaries() !== before) announcement.textContent = summaries();
}

if (document.body.dataset.live) {
  const events = new EventSource(document.body.dataset.live);
  events.onmessage = (event) => {
    const { title, html } = JSON.parse(event.data);
    document.title = title;
    document.body.classList.remove("ended");
    show(html);
  };
  events.onerror = () => {
    document.body.classList.add("ended");
    announcement.textContent = "This page no longer follows the stack: its command has ended, or cannot be reached.";
  };
}
