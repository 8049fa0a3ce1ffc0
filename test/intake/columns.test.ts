import { test } from 'tap'
import { recognise, recogniseFallbacks } from '../../src/intake/columns.ts'
import type { Fallbacks, Mapping } from '../../src/intake/intake.ts'

/** Headers as they are exported, and which column is what. */
const EXPORTS: readonly (readonly [of: string, header: string, mapping: Mapping])[] = [
  [
    'Shopify customers',
    'Customer ID,First Name,Last Name,Email,Accepts Email Marketing,Default Address Company,Default Address Address1,Default Address City,Default Address Province Code,Default Address Country Code,Default Address Zip,Default Address Phone,Phone,Accepts SMS Marketing,Total Spent,Total Orders,Note,Tax Exempt,Tags',
    {
      edgeTagId: 'Customer ID',
      email: 'Email',
      phone: 'Phone',
      firstName: 'First Name',
      lastName: 'Last Name',
      country: 'Default Address Country Code',
      postalCode: 'Default Address Zip'
    }
  ],
  [
    'Shopify orders',
    'Name,Email,Financial Status,Currency,Subtotal,Billing Name,Billing Street,Billing Company,Billing City,Billing Zip,Billing Province,Billing Country,Billing Phone,Shipping Name,Shipping Zip,Shipping Country,Shipping Phone,Id,Phone',
    {
      email: 'Email',
      phone: 'Phone',
      country: 'Billing Country',
      postalCode: 'Billing Zip',
      'purchase.currency': 'Currency'
    }
  ],
  [
    'Klaviyo',
    'Email,Klaviyo ID,First Name,Last Name,Organization,Title,Phone Number,Address,Address 2,City,State / Region,Country,Zip Code,Email Marketing Consent,SMS Marketing Consent,External ID',
    {
      edgeTagId: 'External ID',
      email: 'Email',
      phone: 'Phone Number',
      firstName: 'First Name',
      lastName: 'Last Name',
      country: 'Country',
      postalCode: 'Zip Code'
    }
  ],
  [
    'HubSpot',
    'Record ID,First Name,Last Name,Email,Email Domain,Phone Number,Mobile Phone Number,Contact owner,Company name,Country/Region,Postal Code,Marketing contact status',
    {
      email: 'Email',
      phone: 'Mobile Phone Number',
      firstName: 'First Name',
      lastName: 'Last Name',
      country: 'Country/Region',
      postalCode: 'Postal Code'
    }
  ],
  [
    'Mailchimp',
    'Email Address,First Name,Last Name,Address,Phone Number,Birthday,MEMBER_RATING,OPTIN_TIME,CC,LEID,EUID',
    {
      email: 'Email Address',
      phone: 'Phone Number',
      firstName: 'First Name',
      lastName: 'Last Name'
    }
  ],
  [
    'Salesforce',
    'Id,AccountId,LastName,FirstName,Salutation,Name,MailingStreet,MailingPostalCode,MailingCountry,MailingCountryCode,Phone,Fax,MobilePhone,HomePhone,Email,Title,HasOptedOutOfEmail,External_Id__c',
    {
      edgeTagId: 'External_Id__c',
      email: 'Email',
      phone: 'MobilePhone',
      firstName: 'FirstName',
      lastName: 'LastName',
      country: 'MailingCountry',
      postalCode: 'MailingPostalCode'
    }
  ],
  [
    'the template of Facebook',
    'email,email (2),phone,phone (2),madid,fn,ln,zip,ct,st,country,dob,doby,gen,age,uid,value',
    {
      email: 'email',
      phone: 'phone',
      firstName: 'fn',
      lastName: 'ln',
      country: 'country',
      postalCode: 'zip'
    }
  ],
  [
    'WooCommerce',
    'customer_id,user_login,user_email,billing_first_name,billing_last_name,billing_company,billing_email,billing_phone,billing_postcode,billing_country,shipping_first_name,shipping_postcode,shipping_country',
    {
      edgeTagId: 'customer_id',
      email: 'user_email',
      phone: 'billing_phone',
      firstName: 'billing_first_name',
      lastName: 'billing_last_name',
      country: 'billing_country',
      postalCode: 'billing_postcode'
    }
  ],
  [
    'Google Contacts',
    'First Name,Middle Name,Last Name,E-mail 1 - Label,E-mail 1 - Value,E-mail 2 - Value,Phone 1 - Label,Phone 1 - Value,Address 1 - Postal Code,Address 1 - Country',
    {
      email: 'E-mail 1 - Value',
      phone: 'Phone 1 - Value',
      firstName: 'First Name',
      lastName: 'Last Name',
      country: 'Address 1 - Country',
      postalCode: 'Address 1 - Postal Code'
    }
  ],
  [
    'Dynamics 365',
    '(Do Not Modify) Contact,Full Name,Email,Company Name,Business Phone,Mobile Phone,Address 1: ZIP/Postal Code,Address 1: Country/Region,Address 2: Country/Region',
    {
      email: 'Email',
      phone: 'Mobile Phone',
      country: 'Address 1: Country/Region',
      postalCode: 'Address 1: ZIP/Postal Code'
    }
  ],
  [
    'Brevo',
    'CONTACT ID,EMAIL,NOM,PRENOM,SMS,DOUBLE_OPT-IN',
    {
      edgeTagId: 'CONTACT ID',
      email: 'EMAIL',
      phone: 'SMS',
      firstName: 'PRENOM',
      lastName: 'NOM'
    }
  ],
  [
    'the API itself',
    'edgeTagId,email,phone,firstName,lastName,country,postalCode,purchase.currency,purchase.profit,purchase.total7Days',
    {
      edgeTagId: 'edgeTagId',
      email: 'email',
      phone: 'phone',
      firstName: 'firstName',
      lastName: 'lastName',
      country: 'country',
      postalCode: 'postalCode',
      'purchase.currency': 'purchase.currency',
      'purchase.profit': 'purchase.profit',
      'purchase.total7Days': 'purchase.total7Days'
    }
  ]
]

for (const [of, header, mapping] of EXPORTS) {
  test(`columns of ${of}`, async (t) => {
    t.same(recognise(header.split(',')), mapping)
  })
}

/** Customer id, e-mail, mobile, landline, first and last name, country and postal code. */
const LANGUAGES: Readonly<Record<string, string>> = {
  English:
    'Customer No.|E-Mail Address|Mobile number|Telephone|Given name|Surname|Country|Postcode',
  German: 'Kunden-Nr.|E-Mail-Adresse|Handynummer|Telefon|Vorname|Nachname|Land|PLZ',
  French: 'N° client|Courriel|Téléphone portable|Téléphone|Prénom|Nom de famille|Pays|Code postal',
  Spanish: 'ID cliente|Correo electrónico|Móvil|Teléfono|Nombre|Apellidos|País|Código postal',
  Italian: 'Codice cliente|Indirizzo e-mail|Cellulare|Telefono|Nome|Cognome|Paese|CAP',
  Dutch: 'Klantnummer|E-mailadres|Mobiel|Telefoonnummer|Voornaam|Achternaam|Land|Postcode',
  Portuguese: 'Código do cliente|E-mail|Telemóvel|Telefone|Nome|Sobrenome|País|Código postal',
  Polish: 'Numer klienta|Adres e-mail|Telefon komórkowy|Telefon|Imię|Nazwisko|Kraj|Kod pocztowy',
  Swedish: 'Kundnummer|E-postadress|Mobilnummer|Telefon|Förnamn|Efternamn|Land|Postnummer',
  Danish: 'Kundenummer|E-mail|Mobil|Telefon|Fornavn|Efternavn|Land|Postnr.',
  Norwegian: 'Kundenummer|E-post|Mobilnummer|Telefon|Fornavn|Etternavn|Land|Postnummer',
  Finnish: 'Asiakasnumero|Sähköposti|Matkapuhelin|Puhelin|Etunimi|Sukunimi|Maa|Postinumero',
  Czech: 'Číslo zákazníka|E-mail|Mobilní telefon|Telefon|Jméno|Příjmení|Země|PSČ'
}

for (const [language, names] of Object.entries(LANGUAGES)) {
  test(`names in ${language}`, async (t) => {
    const columns = names.split('|')
    const [id, email, mobile, , firstName, lastName, country, postalCode] = columns
    t.same(recognise(columns), {
      edgeTagId: id,
      email,
      phone: mobile,
      firstName,
      lastName,
      country,
      postalCode
    })
  })
}

test('case, accents, punctuation and spaces make no difference', async (t) => {
  for (const name of [
    'email',
    'EMAIL',
    'E-Mail',
    'e_mail',
    ' E mail ',
    '$email',
    'Email*',
    '[Email]'
  ]) {
    t.same(recognise([name]), { email: name }, name)
  }
  for (const name of ['Prénom', 'PRENOM', 'pre\u0301nom', 'prénom:']) {
    t.same(recognise([name]), { firstName: name }, name)
  }
})

test('what only looks like a field is none', async (t) => {
  const names = [
    'Email Opt In',
    'email_verified',
    'Email Status',
    'Email Domain',
    'Email Delivery',
    'Email MD5',
    'Accepts Email Marketing',
    'Owner email',
    'Company email',
    'Emails sent',
    'SMS Subscriber',
    'Phone Type',
    'Phone Country Code',
    'Fax',
    'Phone verified',
    'SMS Marketing',
    'Mobile OS',

    'Company name',
    'Street name',
    'Name',
    'Full name',
    'User name',
    'Product name',
    'Nom',
    'Nombre',

    'Middle name',
    'Billing Name',
    'Company Country',
    'Country of birth',
    'IP Country',
    'Landmark',
    'Id',
    'Order ID',
    'Product ID',
    'Session ID',
    'Zip file',
    'Discount code',
    'State',
    'City',
    'Total spent',
    'Profitability',
    'Currency symbol',
    '',
    ' ',
    '1',
    '1 value'
  ]
  for (const name of names) t.same(recognise([name]), {}, name)
})

test('of several columns for a field the best one is taken', async (t) => {
  const best: readonly (readonly [columns: readonly string[], mapping: Mapping])[] = [
    [['Work Email', 'Email'], { email: 'Email' }],
    [['Email (work)', 'Email (private)'], { email: 'Email (private)' }],
    [['Hashed Email', 'Mail'], { email: 'Mail' }],
    [['Phone', 'Home Phone', 'Billing Mobile'], { phone: 'Billing Mobile' }],
    [['Home Phone', 'Work Phone'], { phone: 'Work Phone' }],
    [['Shipping Country', 'Billing Country Code'], { country: 'Billing Country Code' }],
    [['Country Code', 'Country'], { country: 'Country' }],
    [['Country Code'], { country: 'Country Code' }],
    [['Shipping Zip', 'Zip', 'Billing Zip'], { postalCode: 'Zip' }],
    [['Contact ID', 'External ID', 'Customer ID'], { edgeTagId: 'External ID' }],
    [['Name', 'Vorname'], { firstName: 'Vorname', lastName: 'Name' }],
    [['Name', 'Vorname', 'Nachname'], { firstName: 'Vorname', lastName: 'Nachname' }],
    [['Name', 'First Name'], { firstName: 'First Name' }],
    [['E-Mail', 'Email'], { email: 'E-Mail' }]
  ]
  for (const [columns, mapping] of best) t.same(recognise(columns), mapping, columns.join(', '))
})

test('a column that is taken is not used a second time', async (t) => {
  t.same(recognise(['Email', 'Work Email'], new Set(['Email'])), { email: 'Work Email' })
})

test('only columns of certainly the same meaning, and addresses of one owner, help each other', async (t) => {
  const files: readonly (readonly [columns: readonly string[], fallbacks: Fallbacks])[] = [
    [['Phone', 'Mobile', 'Home Phone'], { phone: ['Mobile', 'Phone', 'Home Phone'] }],
    [['Phone', 'Billing Phone', 'Shipping Phone'], { phone: ['Phone', 'Billing Phone'] }],
    [['Email', 'Work Email', 'Hashed Email'], { email: ['Email', 'Hashed Email'] }],
    [['Country Code', 'Country', 'Staat'], { country: ['Country', 'Country Code'] }],
    [['Billing Country', 'Shipping Country', 'Billing Zip', 'Shipping Zip'], {}],
    [['Shipping Zip', 'Shipping Postcode'], { postalCode: ['Shipping Zip', 'Shipping Postcode'] }],
    [['First Name', 'Given Name', 'Customer ID', 'External ID'], {}],
    [['Mobile', 'Phone', 'Phone'], {}]
  ]
  for (const [columns, fallbacks] of files) {
    t.same(recogniseFallbacks(columns), fallbacks, columns.join(', '))
  }
})
