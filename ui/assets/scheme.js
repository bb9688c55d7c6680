// Dialogs and popovers stand outside the app's own element, which alone knows whether the theme chosen is light or
// dark: it is told to the whole page, at once and when the choice changes.

export default function () {
  const app = document.querySelector("[data-testid=stApp]")
  if (!app) return
  const tell = () => {
    document.documentElement.style.colorScheme = getComputedStyle(app).colorScheme
  }
  tell()
  const watch = new MutationObserver(tell)
  watch.observe(app, { attributes: true, attributeFilter: ["class"] })
  return () => watch.disconnect()
}
