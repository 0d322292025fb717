package report

// Kind is the kind of an entry.
type Kind uint8

// The kinds. The table below describes them.
const (
	CourseMistake Kind = iota

	PageLeftOut
	ChapterMissing
	FrontMatterBroken
	PictureMissing
	PictureRemote
	FileRefused
	ElementRemoved
	QueryRemoved
	IncludeMissing
	ComponentEmpty
	UndecodableText
	SettingsBroken

	LinkBroken
	LinkForbidden
	LinkToDraft
	LinkToPage
	LinkAmbiguous
	Fallback
	ShownAsText
	ComponentDropped
	BlockUnknown
	ElementChanged
	DiagramAsText
	FormulaAsText
	TableChanged
	EmbedAsLink
	TitleChanged
	HeadingsMoved
	FoldChanged
	Flattened
	ChapterUnwritten
	Unlisted
	AddressChanged
	UnclosedBlock
	TranslationOutdated

	CalloutKind
	Styling
	PictureSize
	AltText
	CommentRemoved
	CodeHidden
	CodeAttribute
	CodeImport
	FrontMatterKey
	SettingUnknown
	BlockMark
	HeadingID
	FileUnused
	CourseWarning
	Extra

	kinds
)

// table has the weight, the description and the advice of each kind.
var table = [kinds]struct {
	weight Weight
	what   string
	advice string
}{
	CourseMistake: {Error, "mistakes that keep the course from building", "Correct the file of the course; sitegen check finds what is left."},

	PageLeftOut:       {Lost, "pages that could not be read", "Save them as UTF-8 text of at most 2 MiB, and import again."},
	ChapterMissing:    {Lost, "chapters whose file is missing", "Correct the table of contents, or add the files."},
	FrontMatterBroken: {Lost, "front matter that could not be read", "Correct the YAML between the --- lines."},
	PictureMissing:    {Lost, "pictures and files that are not in the source", "Put the file where the page looks for it, and import again."},
	PictureRemote:     {Lost, "pictures on other sites, which become links", "Import again with -fetch-pictures to copy them into the course."},
	FileRefused:       {Lost, "pictures and files that cannot be published", "The list says why; convert the file to another format."},
	ElementRemoved:    {Lost, "scripts, frames and other embedded HTML", "Add what matters by hand: text, a picture or a link."},
	QueryRemoved:      {Lost, "queries of Obsidian plugins", "Write their result into the page."},
	IncludeMissing:    {Lost, "includes whose file or part is missing", "Correct the name after include."},
	ComponentEmpty:    {Lost, "components without text in them", "Write what they showed into the page."},
	UndecodableText:   {Lost, "lines that are not UTF-8", "Save the file as UTF-8, and import again."},
	SettingsBroken:    {Lost, "settings files that could not be read", "Correct the file, and import again."},

	LinkBroken:          {Changed, "links that lead nowhere, which become text", "Correct the link, or write the page it leads to."},
	LinkForbidden:       {Changed, "links that are not allowed, which become text", "Use http, https, mailto or tel, or a file of the course."},
	LinkToDraft:         {Changed, "links to drafts, which become text", "Publish the draft, then link to it."},
	LinkToPage:          {Changed, "links to a part that was not found lead to its page", "Correct what follows the # of the link."},
	LinkAmbiguous:       {Changed, "links that more than one file matches", "Check that the link leads to the right page."},
	Fallback:            {Changed, "parts shown as plain text", "The list says why; write them as lessons have them."},
	ShownAsText:         {Changed, "tags and expressions shown as text", "Check that the page reads well."},
	ComponentDropped:    {Changed, "unknown components; the text in them stays", "Check that the page reads well without the component."},
	BlockUnknown:        {Changed, "unknown blocks, which become notes", "Choose NOTE, TIP, IMPORTANT, WARNING or CAUTION."},
	ElementChanged:      {Changed, "HTML that became text or a link", "Check that the page reads well."},
	DiagramAsText:       {Changed, "diagrams shown as their source", "Redraw them as a diagram block, or as a picture."},
	FormulaAsText:       {Changed, "formulas shown as their source", "The list says which command is unknown."},
	TableChanged:        {Changed, "HTML tables with merged cells or blocks in cells", "Check that the table reads well."},
	EmbedAsLink:         {Changed, "embedded notes and files that became links", "Check that the page reads well."},
	TitleChanged:        {Changed, "pages with another title than their first heading", "Choose one of them."},
	HeadingsMoved:       {Changed, "pages whose headings moved down a level", ""},
	FoldChanged:         {Changed, "folded callouts, which lost their colour", ""},
	Flattened:           {Changed, "folders or chapters moved up to the second level", "Check the order of the module."},
	ChapterUnwritten:    {Changed, "chapters without a file, which are left out", ""},
	Unlisted:            {Changed, "unlisted pages, which become drafts", ""},
	AddressChanged:      {Changed, "pages whose address was taken", ""},
	TranslationOutdated: {Changed, "translations with other headings than the original", "Update them, then delete outdated = true."},
	UnclosedBlock:       {Changed, "blocks that are not closed", "Close them in the source, and import again."},

	CalloutKind:    {Note, "callouts whose kind has another name", ""},
	Styling:        {Note, "HTML that only changed how text looked", ""},
	PictureSize:    {Note, "sizes of pictures", ""},
	AltText:        {Note, "pictures without alt text, which got their file's name", ""},
	CommentRemoved: {Note, "comments", ""},
	CodeHidden:     {Note, "lines of code that the book hides", ""},
	CodeAttribute:  {Note, "attributes of code blocks", ""},
	CodeImport:     {Note, "JavaScript of MDX pages", ""},
	FrontMatterKey: {Note, "front matter keys that lessons do not have", ""},
	SettingUnknown: {Note, "settings of the source that a course does not have", ""},
	BlockMark:      {Note, "marks of blocks (^id)", ""},
	HeadingID:      {Note, "ids of headings that changed", ""},
	FileUnused:     {Note, "files that no page uses, which are left out", ""},
	CourseWarning:  {Note, "warnings of sitegen check about the course", ""},
	Extra:          {Note, "other details", ""},
}
