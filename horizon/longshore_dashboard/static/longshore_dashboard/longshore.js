// Times in the viewer's zone, and keeping up to date what runs. Everything else works by links and forms alone.
"use strict";

(function () {
  const frame = document.getElementById("longshore");
  if (!frame) return;
  const lang = document.documentElement.lang || undefined;
  const clock = new Intl.DateTimeFormat(lang, { dateStyle: "medium", timeStyle: "medium" });
  const ofCharts = new Intl.DateTimeFormat(lang, { dateStyle: "short", timeStyle: "short" }); // there is little room
  const REST = 30 * 60 * 1000; // without a hand's move: each look renews Horizon's session
  let moved = Date.now();
  let asked = Date.now();
  let busy = false;

  function localTimes() {
    for (const time of frame.querySelectorAll("time[datetime]")) {
      const moment = new Date(time.dateTime);
      if (Number.isNaN(moment.getTime())) continue;
      time.title = time.dateTime;
      time.textContent = (time.classList.contains("ls-about") ? ofCharts : clock).format(moment);
    }
    for (const end of frame.querySelectorAll("svg [data-moment]")) end.textContent = ofCharts.format(new Date(end.dataset.moment));
  }

  function stale(is) {
    const said = frame.querySelector(".longshore-stale");
    if (said) said.hidden = !is;
  }

  async function refresh() {
    const page = document.getElementById("page");
    const every = page ? Number(page.dataset.refresh) * 1000 : 0;
    if (!every || busy || document.hidden || Date.now() - asked < every || Date.now() - moved > REST) return;
    if (page.contains(document.activeElement) || page.querySelector('details[open], input[name="machine"]:checked')) return;
    busy = true;
    try {
      // So that Horizon answers 401 when its session has ended, not a page to log in at
      const answer = await fetch(window.location.href, { headers: { "X-Requested-With": "XMLHttpRequest" } });
      const found = answer.ok && new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("page");
      if (found) {
        page.replaceWith(document.importNode(found, true));
        localTimes();
      }
      stale(!found);
    } catch (_away) {
      stale(true);
    }
    asked = Date.now();
    busy = false;
  }

  // A form goes once, though its buttons stay enabled (always-enabled): a disabled one wouldn't be sent along
  let sent = new WeakSet();
  frame.addEventListener("submit", (event) => {
    if (sent.has(event.target)) event.preventDefault();
    sent.add(event.target);
  });
  window.addEventListener("pageshow", () => { sent = new WeakSet(); }); // whoever comes back may send it again

  for (const hand of ["pointermove", "keydown", "scroll"]) {
    document.addEventListener(hand, () => { moved = Date.now(); }, { passive: true });
  }
  localTimes();
  window.setInterval(refresh, 1000);
})();
