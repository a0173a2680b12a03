// What the pages can't do without a script: colours as the browser has them, times in the viewer's zone, and keeping up
// to date. Everything else works by links and forms alone.
"use strict";

(function () {
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  function paint() {
    if (root.dataset.theme === "auto") root.classList.toggle(root.dataset.dark, dark.matches);
  }

  // As the viewer's region writes it, where that is of the page's language
  const locale = navigator.language.startsWith(root.lang) ? navigator.language : root.lang;
  const clock = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" });
  const ofToday = new Intl.DateTimeFormat(locale, { timeStyle: "short" });
  const ofCharts = new Intl.DateTimeFormat(locale, { dateStyle: "short", timeStyle: "short" }); // there is little room

  const ofDays = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "short" });

  const isToday = (moment) => moment.toDateString() === new Date().toDateString();
  const roughly = (moment) => isToday(moment) ? ofToday : ofCharts; // of a forecast

  function localTimes(within) {
    for (const time of within.querySelectorAll("time[datetime]")) {
      const moment = new Date(time.dateTime);
      if (Number.isNaN(moment.getTime())) continue;
      time.title = time.dateTime;
      const as = time.classList.contains("ls-about") ? roughly(moment) : time.classList.contains("ls-day") ? ofDays : clock;
      time.textContent = as.format(moment);
    }
    for (const end of within.querySelectorAll("svg [data-moment]")) end.textContent = ofCharts.format(new Date(end.dataset.moment));
  }

  function themeBySelect(within) {
    for (const form of within.querySelectorAll(".ls-theme")) {
      form.classList.add("ls-by-itself");
      form.querySelector("select").addEventListener("change", () => form.requestSubmit());
    }
  }

  // While a form's answer is waited for its button says so, and a second click sends nothing
  function sayBusy() {
    document.addEventListener("submit", (sent) => {
      const form = sent.target;
      if (form.dataset.busy) {
        sent.preventDefault();
        return;
      }
      if (sent.defaultPrevented || !sent.submitter) return;
      form.dataset.busy = "yes";
      sent.submitter.classList.add("ls-busy");
      const said = document.querySelector(".ls-busy-said");
      if (said) said.textContent = said.dataset.said;
    });
    // Also where the browser shows the page as it left it
    window.addEventListener("pageshow", () => {
      for (const form of document.querySelectorAll("[data-busy]")) delete form.dataset.busy;
      for (const button of document.querySelectorAll(".ls-busy")) button.classList.remove("ls-busy");
      const said = document.querySelector(".ls-busy-said");
      if (said) said.textContent = "";
    });
  }

  // A file is read here: forms are sent without files
  function readFiles() {
    for (const place of document.querySelectorAll(".ls-read-into")) {
      place.hidden = false;
      place.addEventListener("change", async (event) => {
        const [file] = event.target.files;
        if (file) place.parentElement.querySelector("textarea").value = await file.text();
      });
    }
  }

  // What is done with what is ticked is offered once something is
  function offerForTicks() {
    for (const offered of document.querySelectorAll(".ls-for-ticks")) {
      offered.hidden = offered.closest("form").querySelector(".ls-tick:checked") === null;
    }
  }

  function ticksOfAll(within) {
    const all = within.querySelector("[data-ticks]");
    if (!all || all.dataset.known) return;
    all.dataset.known = "yes";
    all.hidden = false;
    all.addEventListener("click", () => {
      const ticks = [...document.querySelectorAll(`input[name="${all.dataset.ticks}"]`)];
      const some = ticks.some((tick) => !tick.checked);
      for (const tick of ticks) tick.checked = some;
      offerForTicks();
    });
  }

  // The viewer's choice of columns, in this browser: by a style sheet, which outlives that the table is brought up to date
  const HIDDEN = "longshore-hidden-columns"; // by the label of the table
  const hiding = new CSSStyleSheet();

  function hiddenColumns() {
    return JSON.parse(window.localStorage.getItem(HIDDEN)) ?? {};
  }

  function showChosenColumns() {
    const hidden = hiddenColumns();
    const rules = [];
    for (const choice of document.querySelectorAll(".ls-columns")) {
      choice.hidden = false;
      const label = choice.dataset.table;
      const own = hidden[label] ?? [];
      for (const one of choice.querySelectorAll("input")) one.checked = !own.includes(one.value);
      const table = [...document.querySelectorAll("table")].find((one) => one.ariaLabel === label);
      [...(table?.tHead.rows[0].cells ?? [])].forEach((cell, n) => {
        if (own.includes(cell.dataset.column)) rules.push(`table[aria-label=${CSS.escape(label)}] tr > :nth-child(${n + 1}) { display: none }`);
      });
    }
    hiding.replaceSync(rules.join("\n"));
  }

  function chooseColumns() {
    document.adoptedStyleSheets.push(hiding);
    showChosenColumns();
    document.addEventListener("change", ({ target }) => {
      const choice = target.closest(".ls-columns");
      if (!choice) return;
      const own = [...choice.querySelectorAll("input:not(:checked)")].map((one) => one.value);
      window.localStorage.setItem(HIDDEN, JSON.stringify({ ...hiddenColumns(), [choice.dataset.table]: own }));
      showChosenColumns();
    });
  }

  // What the viewer has opened or is typing stays so while the rest is brought up to date
  function keepHands() {
    if (!window.Idiomorph) return;
    window.Idiomorph.defaults.ignoreActiveValue = true;
    const callbacks = window.Idiomorph.defaults.callbacks;
    callbacks.beforeAttributeUpdated = (name, node) => !(name === "open" && node.tagName === "DETAILS");
    callbacks.beforeNodeMorphed = (node, fresh) => !(node.tagName === "TIME" && node.dateTime === fresh.dateTime);
  }

  // Moments are asked for in UTC, and in the viewer's zone where the browser can tell it
  function momentsHere(within) {
    for (const one of within.querySelectorAll('input[type="datetime-local"]')) {
      const label = one.labels[0]?.querySelector("span");
      if (label) label.textContent = label.textContent.replace(" (UTC)", "");
      const said = one.getAttribute("value");
      const moment = said && new Date(said.endsWith("Z") ? said : `${said}Z`);
      if (moment && !Number.isNaN(moment.getTime())) one.value = new Date(moment - moment.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
    }
  }

  function momentsInUtc() {
    document.addEventListener("formdata", (sent) => {
      for (const one of sent.target.querySelectorAll('input[type="datetime-local"]')) {
        if (one.name && one.value) sent.formData.set(one.name, new Date(one.value).toISOString());
      }
    });
  }

  // What is typed into a form outlives a session that has ended when it is sent: in this tab, until the page of the form
  // is there again for the same user, and never a secret
  const TYPED = "longshore-typed";
  const BY_MACHINE = ["hidden", "password", "file", "submit", "button"];
  const typed = (form) => [...form.elements].filter((one) => one.name && !BY_MACHINE.includes(one.type) && !("secret" in one.dataset));
  const here = () => window.location.pathname + window.location.search;
  const userOf = () => document.getElementById("page")?.dataset.user;

  function keepTyped() {
    document.addEventListener("submit", ({ target: form }) => {
      if (form.method !== "post" || !userOf() || !form.closest("#page")) return;
      const fields = typed(form).map(({ name, value, checked }) => ({ name, value, checked }));
      const kept = { at: here(), user: userOf(), action: form.getAttribute("action"), fields };
      try {
        window.sessionStorage.setItem(TYPED, JSON.stringify(kept));
      } catch {
        window.sessionStorage.removeItem(TYPED); // it is larger than what browsers keep
      }
    });
  }

  function giveBackTyped() {
    const kept = JSON.parse(window.sessionStorage.getItem(TYPED));
    if (!kept) return;
    if (!userOf()) { // the log-in came instead of an answer
      window.sessionStorage.setItem(TYPED, JSON.stringify({ ...kept, parted: true }));
      return;
    }
    window.sessionStorage.removeItem(TYPED);
    if (!kept.parted || kept.at !== here() || kept.user !== userOf()) return;
    const form = [...document.querySelectorAll("#page form")].find((one) => one.getAttribute("action") === kept.action);
    const fields = form ? typed(form) : [];
    if (fields.length !== kept.fields.length || !fields.length) return;
    fields.forEach((one, n) => {
      if (one.name !== kept.fields[n].name) return;
      if (one.type === "checkbox" || one.type === "radio") one.checked = one.value === kept.fields[n].value && kept.fields[n].checked;
      else one.value = kept.fields[n].value;
    });
    const said = document.querySelector(".ls-kept-said");
    said.hidden = false;
    said.textContent = said.dataset.said;
  }

  // Before a session ends that nobody uses; to ask for the page again is use
  const WARNED = 120; // seconds

  function warnOfEnd() {
    const place = document.querySelector(".ls-ends-said");
    if (!place) return;
    const [said, stay] = place.children;
    let ends = Date.now() + place.dataset.within * 1000;
    window.setInterval(() => {
      const left = (ends - Date.now()) / 1000;
      place.hidden = left > WARNED || left < 0;
      say(said, place.hidden ? "" : said.dataset.said);
    }, 1000);
    stay.addEventListener("click", async () => {
      const answer = await window.fetch(window.location.href);
      const again = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".ls-ends-said");
      if (again) ends = Date.now() + again.dataset.within * 1000;
    });
  }

  // What runs is asked for again, while somebody looks; the slower the answers come, the rarer
  let asked = 0;
  let took = 0;

  const PAUSED = "longshore-paused"; // of this tab, until it is closed

  // Why a page isn't brought up to date, as it says itself; empty where it is
  function standsStill(page) {
    if (window.sessionStorage.getItem(PAUSED)) return "paused";
    if (page.querySelector('input[name="machine"]:checked, input[name="migration"]:checked')) return "held"; // a choice that is being made stays
    if (page.contains(document.activeElement) && document.activeElement.matches("select, input:not(.ls-column), textarea")) return "held";
    return "";
  }

  function say(element, text) {
    if (element.textContent !== text) element.textContent = text; // else it would be read aloud each time
  }

  function tellOfUpdates() {
    const page = document.getElementById("page");
    const live = document.querySelector(".ls-live");
    if (!page || !live || !window.htmx) return;
    live.hidden = !page.dataset.refresh;
    const why = standsStill(page);
    const [told, button] = [live.querySelector("[role=status]"), live.querySelector("button")];
    say(told, why ? told.dataset[why] : "");
    say(button, why === "paused" ? button.dataset.resume : button.dataset.pause);
  }

  function pauseByButton() {
    const button = document.querySelector(".ls-live button");
    if (!button) return;
    button.addEventListener("click", () => {
      if (window.sessionStorage.getItem(PAUSED)) window.sessionStorage.removeItem(PAUSED);
      else window.sessionStorage.setItem(PAUSED, "yes");
      tellOfUpdates();
    });
  }

  function refresh() {
    tellOfUpdates();
    const page = document.getElementById("page");
    if (!page || !window.htmx || !page.dataset.refresh || document.hidden || standsStill(page)) return;
    if (Date.now() - asked < Math.max(page.dataset.refresh * 1000, took * 3)) return;
    asked = Date.now();
    window.htmx.trigger(page, "refresh");
  }

  paint();
  dark.addEventListener("change", paint);
  document.addEventListener("DOMContentLoaded", () => {
    localTimes(document);
    momentsHere(document);
    momentsInUtc();
    themeBySelect(document);
    ticksOfAll(document);
    sayBusy();
    readFiles();
    offerForTicks();
    chooseColumns();
    document.addEventListener("change", offerForTicks);
    keepHands();
    pauseByButton();
    tellOfUpdates();
    warnOfEnd();
    keepTyped();
    giveBackTyped();
    document.body.addEventListener("htmx:afterRequest", () => { took = Date.now() - asked; });
    // Before it is painted: else times would jump to UTC and back
    document.body.addEventListener("htmx:afterSwap", () => {
      localTimes(document);
      ticksOfAll(document);
      offerForTicks();
      showChosenColumns();
    });
    // Where the server is away, or the session has ended, the page stays as it was and says so
    for (const trouble of ["htmx:sendError", "htmx:responseError"]) {
      document.body.addEventListener(trouble, () => document.body.classList.add("ls-stale"));
    }
    document.body.addEventListener("htmx:afterSwap", () => document.body.classList.remove("ls-stale"));
    window.setInterval(refresh, 500);
  });
})();
