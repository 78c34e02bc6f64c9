// Judging by keyboard: 0 to 3 rate the answer where one is and go to the next, arrows go, u undoes, Enter keeps.
// Without this the form is filled in by hand and does the same.
"use strict";

const form = document.querySelector("[data-judge]");
const answers = form ? [...form.querySelectorAll("[data-answer]")] : [];
const undone = [];
let here = 0;

const radios = (answer) => [...answer.querySelectorAll("input[type=radio]")];
const chosen = (answer) => radios(answer).find((one) => one.checked);

function show() {
  answers.forEach((answer, place) => answer.classList.toggle("here", place === here));
  const rated = answers.filter((answer) => chosen(answer)?.value).length;
  form.querySelector("[data-rated]").textContent = `${rated} of ${answers.length} rated`;
}

function go(place) {
  here = Math.max(0, Math.min(answers.length - 1, place));
  (chosen(answers[here]) ?? radios(answers[here])[0]).focus();
  show();
}

function choose(place, value) {
  for (const one of radios(answers[place])) one.checked = one.value === value;
}

function pressed(event) {
  const at = event.target;
  const writes = at.matches("input:not([type=radio]), textarea, select");
  if (event.ctrlKey || event.metaKey || event.altKey || writes) return;
  if (/^[0-3]$/.test(event.key)) {
    undone.push([here, chosen(answers[here])?.value ?? ""]);
    choose(here, event.key);
    go(here + 1);
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    go(here + (event.key === "ArrowDown" ? 1 : -1));
  } else if (event.key === "u") {
    const last = undone.pop();
    if (last) { choose(...last); go(last[0]); }
  } else if (event.key === "n") {
    document.querySelector("a[rel=next]")?.click();
  } else if (event.key === "Enter" && !at.matches("a, button, summary")) {
    form.requestSubmit();
  } else return;
  event.preventDefault();
}

if (answers.length) {
  form.querySelector("[data-keys]").hidden = false;
  document.addEventListener("keydown", pressed);
  form.addEventListener("change", show);
  form.addEventListener("focusin", (event) => {
    const place = answers.findIndex((answer) => answer.contains(event.target));
    if (place >= 0) { here = place; show(); }
  });
  go(answers.findIndex((answer) => !chosen(answer)?.value));
}
