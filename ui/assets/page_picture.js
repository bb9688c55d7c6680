// One page of a document as a picture, scrolled to its highlight. Only pictures given as data are shown.

export default function ({ parentElement, data }) {
  const frame = parentElement.querySelector(".frame")
  let scroller = frame.querySelector(".scroller")
  if (!scroller) {
    scroller = document.createElement("div")
    scroller.className = "scroller"
    scroller.tabIndex = 0
    scroller.setAttribute("role", "region")
    scroller.setAttribute("aria-label", "Page of the source")
    const picture = document.createElement("img")
    const zoom = document.createElement("button")
    zoom.type = "button"
    zoom.className = "zoom"
    zoom.textContent = "Enlarge"
    zoom.onclick = () => {
      const enlarged = scroller.classList.toggle("enlarged")
      zoom.textContent = enlarged ? "Fit" : "Enlarge"
      scrollToMark()
    }
    scroller.append(picture)
    frame.append(scroller, zoom)
  }
  const picture = scroller.querySelector("img")
  function scrollToMark() {
    scroller.scrollTop = Math.max(0, data.top * picture.clientHeight - 90)
  }
  if (!data.url.startsWith("data:image/png;base64,")) return
  const moved = scroller.dataset.shown !== data.shown
  scroller.dataset.shown = data.shown
  picture.alt = data.alt
  if (moved) picture.onload = scrollToMark
  if (picture.src !== data.url) picture.src = data.url
  else if (moved) scrollToMark()
}
