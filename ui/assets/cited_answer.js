// Shows an answer from plain data. Text goes into text nodes only: no innerHTML, no attribute that loads anything.

function element(tag, className, text) {
  const made = document.createElement(tag)
  if (className) made.className = className
  if (text) made.textContent = text
  return made
}

function button(className, label, act) {
  const made = element("button", className)
  made.type = "button"
  if (label) made.setAttribute("aria-label", label)
  made.onclick = act
  return made
}

function whereOf(citation) {
  return [citation.name, citation.place].filter(Boolean).join(", ")
}

// Text in which rows of a table, lines with " | ", become one; its first row names the columns.
function withTables(text) {
  const nodes = []
  let table = null
  const lines = text.split("\n")
  lines.forEach((line, at) => {
    const isRow = one => one !== undefined && one.includes(" | ")
    if (isRow(line) && (table || isRow(lines[at + 1]))) {
      if (!table) nodes.push(table = element("table"))
      const row = element("tr")
      for (const cell of line.split(" | ")) row.append(element(table.rows.length ? "td" : "th", "", cell))
      table.append(row)
    } else {
      const after = table !== null || !nodes.length ? "" : "\n"
      table = null
      nodes.push(document.createTextNode(after + line))
    }
  })
  return nodes
}

// The quotation under the marker while it is pointed at or has the focus; in the top layer, so nothing clips it.
function attachCard(marker, citation, root) {
  const card = element("div", "card")
  card.popover = "manual"
  card.append(element("p", "quote", `“${citation.quote}”`), element("p", "where", whereOf(citation)))
  root.append(card)
  const show = () => {
    if (!card.isConnected || card.matches(":popover-open")) return
    card.showPopover()
    const at = marker.getBoundingClientRect()
    const size = card.getBoundingClientRect()
    const left = Math.min(Math.max(8, at.left - 24), window.innerWidth - size.width - 8)
    const below = at.bottom + 6
    const top = below + size.height > window.innerHeight - 8 ? Math.max(8, at.top - size.height - 6) : below
    card.style.left = `${Math.max(8, left)}px`
    card.style.top = `${top}px`
  }
  const hide = () => { if (card.isConnected && card.matches(":popover-open")) card.hidePopover() }
  marker.onmouseenter = show
  marker.onmouseleave = hide
  marker.onfocus = () => { if (marker.matches(":focus-visible")) show() }
  marker.onblur = hide
  marker.onkeydown = event => { if (event.key === "Escape") hide() }
  return hide
}

function markerButton(number, citations, selected, root, setTriggerValue) {
  const citation = citations.get(number)
  if (!citation) return document.createTextNode(` [${number}]`)
  let hide = () => {}
  const made = button("marker", `Citation ${number}: ${citation.quote} (${whereOf(citation)})`, () => {
    hide()
    setTriggerValue("cited", number)
  })
  made.textContent = `[${number}]`
  made.disabled = !citation.available
  if (number === selected) made.setAttribute("aria-current", "true")
  made.dataset.marker = String(number)
  hide = attachCard(made, citation, root)
  return made
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    const area = element("textarea")
    area.value = text
    area.style.position = "fixed"
    area.style.opacity = "0"
    document.body.append(area)
    area.select()
    const done = document.execCommand("copy")
    area.remove()
    return done
  }
}

export default function ({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".answer")
  const focused = parentElement.activeElement?.dataset?.marker
  root.replaceChildren()
  const citations = new Map(data.citations.map(one => [one.marker, one]))
  const marker = number => markerButton(number, citations, data.selected, root, setTriggerValue)

  if (data.heading) root.append(element("p", "heading", data.heading))
  if (data.lead) root.append(element("p", "lead", data.lead))

  let paragraph = null
  for (const claim of data.claims) {
    if (!paragraph || !data.flowing) {
      paragraph = element("div", "claims")
      root.append(paragraph)
    } else {
      paragraph.append(" ")
    }
    const sentence = element("span", claim.supported ? "claim" : "claim unsupported")
    sentence.append(...withTables(claim.text))
    if (!claim.supported) sentence.title = "No checked quotation supports this"
    paragraph.append(sentence)
    const joiner = "\u2060" // a marker never begins a line
    for (const number of claim.markers) paragraph.append(joiner, marker(number))
  }

  for (const note of data.notes) root.append(element("p", `note ${note.tone}`, note.text))

  if (data.choices.length) {
    const list = element("ul", "choices")
    for (const choice of data.choices) list.append(element("li", "", choice))
    root.append(list)
  }

  if (data.passages.length) {
    const list = element("div", "passages")
    data.passages.forEach((passage, index) => {
      const card = button("passage", "", () => setTriggerValue("passage", index))
      const head = element("span", "passage-head")
      head.append(element("span", "name", passage.name), element("span", "where", passage.place))
      card.append(head, element("span", "text", passage.text))
      list.append(card)
    })
    root.append(list)
  }

  if (data.citations.length) {
    const list = element("div", "sources")
    list.setAttribute("aria-label", "Sources")
    for (const citation of data.citations) {
      const source = button("source", `Open source ${citation.marker}: ${whereOf(citation)}`, () =>
        setTriggerValue("cited", citation.marker))
      source.disabled = !citation.available
      if (citation.marker === data.selected) source.setAttribute("aria-current", "true")
      source.append(element("span", "number", String(citation.marker)), element("span", "name", citation.name))
      if (citation.place) source.append(element("span", "where", citation.place))
      list.append(source)
    }
    root.append(list)
  }

  const foot = element("div", "foot")
  if (data.verified) foot.append(element("span", data.all_verified ? "verified all" : "verified", data.verified))
  if (data.method) foot.append(element("span", "method", data.method))
  const copyButton = button("copy", "", async () => {
    copyButton.textContent = (await copy(data.copied)) ? "Copied" : "Could not copy"
    setTimeout(() => { copyButton.textContent = data.citations.length ? "Copy with citations" : "Copy" }, 1600)
  })
  copyButton.textContent = data.citations.length ? "Copy with citations" : "Copy"
  foot.append(copyButton)
  root.append(foot)

  if (data.arriving && !root.dataset.arrived) {
    root.dataset.arrived = "true"
    requestAnimationFrame(() => root.scrollIntoView({ block: "start" }))
  }
  if (focused) root.querySelector(`button.marker[data-marker="${Number(focused)}"]`)?.focus()
}
