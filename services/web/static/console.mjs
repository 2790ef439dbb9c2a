// What every page has: the theme's switch and live progress of jobs.

const THEMES = ["system", "light", "dark"];

export function forgeryToken() {
  return document.querySelector('meta[name="forgery"]')?.content ?? "";
}

function currentTheme() {
  return document.documentElement.dataset.theme ?? "system";
}

function setTheme(name) {
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  const age = name === "system" ? 0 : 31536000;
  document.cookie = `faultlight_theme=${name}; path=/; max-age=${age}; samesite=lax`;
  document.dispatchEvent(new CustomEvent("themechange"));
}

function startThemeSwitch() {
  const button = document.querySelector("[data-theme-switch]");
  if (!button) return;
  const tell = () => { button.textContent = `Theme: ${currentTheme()}`; };
  button.hidden = false;
  tell();
  button.addEventListener("click", () => {
    setTheme(THEMES[(THEMES.indexOf(currentTheme()) + 1) % THEMES.length]);
    tell();
  });
}

const ENDED = new Set(["succeeded", "failed", "dead", "cancelled"]);
const POLL_MS = 1500;

function remaining(iso) {
  if (!iso) return "";
  const seconds = Math.round((new Date(iso) - Date.now()) / 1000);
  return seconds > 0 ? `ends in ${seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`}` : "";
}

async function followJob(place) {
  const id = place.dataset.job;
  while (document.contains(place)) {
    if (!document.hidden) {
      const answer = await fetch(`/api/v1/jobs/${id}`, { headers: { Accept: "application/json" } });
      if (!answer.ok) return;
      const job = await answer.json();
      const bar = place.querySelector("progress");
      bar.value = job.state === "succeeded" ? 1 : job.progress;
      place.querySelector("[data-job-text]").textContent = ENDED.has(job.state) ? job.state : job.progress_message || job.state;
      place.querySelector("[data-job-eta]").textContent = ENDED.has(job.state) ? "" : remaining(job.estimated_finish_at);
      if (ENDED.has(job.state)) {
        if (place.dataset.reload !== undefined) location.reload();
        return;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

startThemeSwitch();
for (const place of document.querySelectorAll("[data-job]")) followJob(place).catch(() => {});
