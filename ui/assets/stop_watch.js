// Tells the server once that the script has ended while this was still on the page: the reader stopped it.
// Streamlit keeps the script's state in an attribute of the app's root; without it nothing is told.

export default function ({ parentElement, setTriggerValue }) {
  const host = parentElement.host ?? parentElement
  if (!host.watch) requestAnimationFrame(() => host.scrollIntoView({ block: "center" })) // the new question
  let ended = 0
  clearInterval(host.watch)
  host.watch = setInterval(() => {
    const state = document.querySelector("[data-testid=stApp]")?.dataset.testScriptState
    ended = state === "notRunning" ? ended + 1 : 0
    if (ended < 3) return
    clearInterval(host.watch)
    setTriggerValue("stopped", true)
  }, 150)
  return () => clearInterval(host.watch)
}
