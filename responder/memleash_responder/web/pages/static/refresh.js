// Renews the page's sections in place: fetches the same page with its ETag, and swaps what
// changed. Where a person types, nothing moves; what was typed or ticked, focus and open details
// are kept.
"use strict";

(() => {
  let etag = "";
  let answered = Date.now();

  const keep = (section) => {
    const active = document.activeElement;
    return section.contains(active) && /^(INPUT|SELECT|TEXTAREA)$/.test(active.tagName);
  };

  const fields = (section) => [...section.querySelectorAll("form")].flatMap((form) =>
    [...form.elements].filter((field) => field.name && field.type !== "hidden")
      .map((field) => [`${form.action} ${field.name}`, field]));

  const swap = (old, fresh) => {
    const renewed = new Map(fields(fresh));
    for (const [which, { value, checked }] of fields(old)) {
      if (renewed.has(which)) Object.assign(renewed.get(which), { value, checked });
    }
    const open = [...old.querySelectorAll("details")].map((one) => [one.id, one.open]);
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    const scrolled = [...old.querySelectorAll(".scroll, pre")].map((one) => [one.scrollLeft, one.scrollTop]);
    old.replaceWith(fresh);
    for (const [id, was] of open) {
      const details = document.getElementById(id);
      if (details) details.open = was;
    }
    [...fresh.querySelectorAll(".scroll, pre")].forEach((one, number) => {
      if (scrolled[number]) [one.scrollLeft, one.scrollTop] = scrolled[number];
    });
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  };

  const show = (text) => {
    const page = new DOMParser().parseFromString(text, "text/html");
    document.title = page.title;
    document.body.dataset.refresh = page.body.dataset.refresh ?? "";
    for (const fresh of page.querySelectorAll("main > section[id]")) {
      const old = document.getElementById(fresh.id);
      if (old && !keep(old) && old.outerHTML !== fresh.outerHTML) swap(old, document.adoptNode(fresh));
    }
  };

  const stale = (is) => {
    document.getElementById("stale").hidden = !is;
    document.getElementById("stale-since").textContent = new Date(answered).toLocaleTimeString();
  };

  const look = async () => {
    try {
      const headers = { Accept: "text/html", "If-None-Match": etag };
      const answer = await fetch(location.href, { headers, cache: "no-store", redirect: "error" });
      if (answer.status !== 304) {
        if (!answer.ok) throw new Error(answer.status);
        etag = answer.headers.get("ETag") ?? "";
        show(await answer.text());
      }
      answered = Date.now();
      stale(false);
    } catch {
      stale(true);
    }
  };

  const again = () => {
    const seconds = Number(document.body.dataset.refresh);
    if (!seconds) return;
    setTimeout(async () => {
      if (!document.hidden) await look();
      again();
    }, seconds * 1000);
  };

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && document.body.dataset.refresh) look();
  });
  again();
})();
