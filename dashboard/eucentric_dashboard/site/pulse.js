// Tells within three seconds that the dashboard is out of reach, and goes on by itself when it is back.
// In a worker, because browsers slow down the timers of hidden pages, and a person who steers must stay known.
(() => {
  const LOST_AFTER_MS = 2500;
  const source = `
    const address = ADDRESS;
    let busy = false;
    setInterval(async () => {
      if (busy) return;
      busy = true;
      const given_up = new AbortController();
      const timer = setTimeout(() => given_up.abort(), 1500);
      try {
        const answer = await fetch(address, { signal: given_up.signal, cache: "no-store", credentials: "include" });
        postMessage(answer.ok ? { start: (await answer.json()).start } : { status: answer.status });
      } catch (error) {
        postMessage({ lost: true });
      } finally {
        clearTimeout(timer);
        busy = false;
      }
    }, 700);`;
  const address = location.origin + "/pulse?instrument=" + encodeURIComponent(window.eucentricInstrument);
  const code = source.replace("ADDRESS", JSON.stringify(address));
  const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  let first = null;
  let heard = Date.now();
  let ended = false;
  const banner = document.createElement("div");
  banner.className = "lost";
  banner.setAttribute("role", "alert");
  banner.hidden = true;
  const show = (what, then, link) => {
    banner.replaceChildren();
    const strong = document.createElement("strong");
    strong.textContent = what;
    const rest = document.createElement("span");
    rest.textContent = then;
    banner.append(strong, rest);
    if (link) {
      const a = document.createElement("a");
      a.href = link;
      a.textContent = "Log in again";
      banner.append(a);
    }
    banner.hidden = false;
    document.body.classList.add("is-lost");
  };
  worker.onmessage = ({ data }) => {
    if (data.start) {
      heard = Date.now();
      if (first && data.start !== first) return location.reload();
      first = data.start;
      if (!banner.hidden) {
        banner.hidden = true;
        document.body.classList.remove("is-lost");
        // What was sent meanwhile may be missing: build the page anew unless it has caught up by itself.
        if (!window.socket || !window.socket.connected) location.reload();
      }
      ended = false;
    } else if (data.status === 401 && !ended) {
      ended = true;
      const next = encodeURIComponent(location.pathname + location.search);
      show("Your login has ended.", "Nothing was changed. Safe stop still works from this page.",
           "/login?next=" + next);
      document.body.classList.remove("is-lost");
    }
  };
  const since = () => Math.round((Date.now() - heard) / 1000);
  const look = () => {
    if (ended || Date.now() - heard < LOST_AFTER_MS) return;
    show(`This page has lost the dashboard for ${since()} s; nothing on it is live.`,
         "Safe: the agent's own watchdog guards beam and stage. Next: wait, this page reconnects by itself. " +
         "To stop now, use the microscope's own panel or `eucentric stop`: Safe stop does not work from here.");
  };
  window.addEventListener("load", () => document.body.prepend(banner));
  if (document.body) document.body.prepend(banner);
  setInterval(look, 300);
})();
